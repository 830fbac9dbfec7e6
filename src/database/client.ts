import type { Duplex } from 'node:stream';
import pg from 'pg';
import { DatabaseUnusableError } from './errors.ts';

declare module 'pg' {
  interface Connection {
    attachListeners(stream: Duplex): void;
  }
}

/** pg's parser throws on a malformed message, which must end the connection and not the process. */
function containParserErrors({ connection }: pg.Client): void {
  const attach = connection.attachListeners.bind(connection);
  connection.attachListeners = (stream) => {
    attach(stream);
    const parser = stream.listeners('data').at(-1);
    if (parser === undefined) throw new Error('pg has attached no parser');
    stream.removeAllListeners('data').on('data', (chunk: Buffer) => {
      if (stream.destroyed) return;
      try {
        Reflect.apply(parser, stream, [chunk]);
      } catch (error) {
        stream.destroy(error instanceof Error ? error : new Error('The database sent a malformed message'));
      }
    });
  };
}

const PASSWORD_REQUESTS = ['authenticationCleartextPassword', 'authenticationMD5Password', 'authenticationSASL'];

/** How long a connection attempt may take; Neon needs up to 5 s to resume. */
const CONNECT_TIMEOUT_MS = 8_000;

/**
 * Opens one PostgreSQL connection, in pipeline mode.
 * @throws {DatabaseUnusableError} if the server asks for a password and there is none; the driver's error if it cannot
 *   be opened within 8 s.
 */
export async function connectClient(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client({ ...config, pipeline: true, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => undefined); // emitted on idle clients too; without a listener Node exits
  containParserErrors(client);
  let isPasswordAsked = false;
  for (const event of PASSWORD_REQUESTS) {
    client.connection.once(event, () => {
      isPasswordAsked = true;
    });
  }
  await client.connect().catch((error: unknown) => {
    client.connection.stream.destroy(); // pg leaves it open after an error of its own or of the server
    if (isPasswordAsked && !client.password) {
      throw new DatabaseUnusableError('The database asks for a password, and DATABASE_URL has none', error);
    }
    throw error;
  });
  return client;
}
