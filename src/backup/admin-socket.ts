import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request } from 'node:http';
import { join, relative, resolve } from 'node:path';
import { z } from 'zod';
import type { Values } from '../database/database.ts';
import { type Operator, OperatorError } from './admin-access.ts';
import { isOperatorStatement } from './admin-sql.ts';

/*
 * The embedded database belongs to one process. While that serves, backup and restore reach the rows through it, by a
 * socket in the data directory that only the directory's owner can open: POST /{statement}, the values as a JSON array,
 * answered with the rows as JSON, or with an error.
 */

const MAX_REQUEST_BYTES = 67_108_864;
/** Longer than the service may take over a statement. */
const MAX_ANSWER_MS = 30_000;
/** What the address of a Unix socket has room for (sockaddr_un of macOS, the smallest). */
const MAX_PATH_BYTES = 103;

const Texts = z.array(z.string().nullable());
const Failure = z.object({ error: z.string(), passing: z.boolean() });
const Rows = z.array(Texts);

/** @returns where the socket of `directory` is, by the shorter of its names; null where both are too long. */
function socketPath(directory: string): string | null {
  const path = resolve(join(directory, 'operator.sock'));
  const shortest = [path, relative(process.cwd(), path)].sort((a, b) => a.length - b.length)[0] ?? path;
  return Buffer.byteLength(shortest) <= MAX_PATH_BYTES ? shortest : null;
}

async function readText(stream: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stream) {
    bytes += part.length;
    if (bytes > MAX_REQUEST_BYTES) throw new OperatorError('The request is too large', false);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

async function answer(operator: Operator, asked: IncomingMessage): Promise<unknown> {
  const name = asked.url?.slice(1) ?? '';
  if (!isOperatorStatement(name)) throw new OperatorError(`There is no statement ${name}`, false);
  const values: Values = Texts.parse(JSON.parse(await readText(asked)));
  return operator.run(name, values);
}

/**
 * Lets the owner of `directory`, which this process holds, work with the rows in it.
 * @returns a function that ends that, or null where the directory's name is too long or its storage has no sockets.
 */
export async function serveOperator(directory: string, operator: Operator): Promise<(() => Promise<void>) | null> {
  const path = socketPath(directory);
  if (path === null) return null;
  const server = createServer((asked, reply) => {
    answer(operator, asked).then(
      (rows) => reply.end(JSON.stringify(rows)),
      (error: unknown) => {
        const passing = error instanceof OperatorError && error.passing;
        const failure = { error: error instanceof Error ? error.message : String(error), passing };
        reply.writeHead(500).end(JSON.stringify(failure));
      },
    );
  });
  const stop = async () => {
    server.close();
    server.closeAllConnections();
    await rm(path, { force: true });
  };
  try {
    await rm(path, { force: true });
    await once(server.listen(path), 'listening');
    server.on('error', () => undefined); // who cannot be let in now comes again
    server.unref();
    await chmod(path, 0o600);
  } catch {
    await stop().catch(() => undefined);
    return null;
  }
  return stop;
}

function post(socket: string, name: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((settle, reject) => {
    const where = { socketPath: socket, path: `/${name}`, method: 'POST', timeout: MAX_ANSWER_MS };
    const asked = request(where, (reply) => {
      readText(reply).then((text) => settle({ status: reply.statusCode ?? 0, text }), reject);
    });
    asked.once('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.once('error', reject).end(body);
  });
}

/**
 * Works with the rows of `directory` through the process that serves from it.
 * @returns null when no such process answers.
 */
export async function connectOperator(directory: string): Promise<Operator | null> {
  const socket = socketPath(directory);
  if (socket === null) return null;
  const operator: Operator = {
    run: async (name, values) => {
      const reply = await post(socket, name, JSON.stringify(values)).catch((error: unknown) => {
        throw new OperatorError(`The service does not answer: ${String(error)}`, true);
      });
      if (reply.status === 200) return Rows.parse(JSON.parse(reply.text));
      const { error, passing } = Failure.parse(JSON.parse(reply.text));
      throw new OperatorError(error, passing);
    },
    close: async () => undefined,
  };
  return post(socket, 'count', '[]').then(
    () => operator,
    () => null,
  );
}
