import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request } from 'node:http';
import { join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { type AdminAccess, AdminError } from './admin-access.ts';
import { AdminRequest } from './admin-sql.ts';

/*
 * The embedded database belongs to one process. While that process serves, backup and restore reach rows through its
 * admin socket in the data directory, which only the directory's owner and root may open: POST / with an `AdminRequest`
 * as JSON; 200 with the rows of each statement, or 500 with an error.
 */

const MAX_MESSAGE_BYTES = 67_108_864;
/** Longer than the deadline of a transaction. */
const RESPONSE_TIMEOUT_MS = 30_000;
/** Size of a socket address's path (sockaddr_un of macOS, the smallest). */
const MAX_PATH_BYTES = 103;

const Failure = z.object({ error: z.string(), retryable: z.boolean() });
const Results = z.array(z.array(z.array(z.string().nullable())));

/** @returns the path of the socket, absolute or relative, whichever is shorter; null if both are too long. */
function socketPath(directory: string): string | null {
  const path = resolve(join(directory, 'admin.sock'));
  const shortest = [path, relative(process.cwd(), path)].sort((a, b) => a.length - b.length)[0] ?? path;
  return Buffer.byteLength(shortest) <= MAX_PATH_BYTES ? shortest : null;
}

async function readText(stream: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stream) {
    bytes += part.length;
    if (bytes > MAX_MESSAGE_BYTES) throw new AdminError('The message is too large', false);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/**
 * Opens the admin socket of `directory`, which this process must hold.
 * @returns a function that closes it; null if the directory's path is too long or its file system has no sockets.
 */
export async function serveAdminSocket(directory: string, access: AdminAccess): Promise<(() => Promise<void>) | null> {
  const path = socketPath(directory);
  if (path === null) return null;
  const server = createServer((message, response) => {
    readText(message)
      .then((text) => access.run(AdminRequest.parse(JSON.parse(text))))
      .then(
        (results) => response.end(JSON.stringify(results)),
        (error: unknown) => {
          const retryable = error instanceof AdminError && error.retryable;
          const failure = { error: error instanceof Error ? error.message : String(error), retryable };
          response.writeHead(500).end(JSON.stringify(failure));
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
    server.on('error', () => undefined); // accept() errors (EMFILE): the client retries
    server.unref();
    await chmod(path, 0o600);
  } catch {
    await stop().catch(() => undefined);
    return null;
  }
  return stop;
}

function post(socket: string, body: AdminRequest): Promise<{ status: number; text: string }> {
  return new Promise((resolvePromise, reject) => {
    const options = { socketPath: socket, path: '/', method: 'POST', timeout: RESPONSE_TIMEOUT_MS };
    const sent = request(options, (response) => {
      readText(response).then((text) => resolvePromise({ status: response.statusCode ?? 0, text }), reject);
    });
    sent.once('timeout', () => sent.destroy(new Error('no response in time')));
    sent.once('error', reject).end(JSON.stringify(body));
  });
}

/** @returns admin access through the process that serves from `directory`; null if none does. */
export async function connectAdminSocket(directory: string): Promise<AdminAccess | null> {
  const socket = socketPath(directory);
  if (socket === null) return null;
  const run: AdminAccess['run'] = async (body) => {
    const { status, text } = await post(socket, body).catch((error: unknown) => {
      throw new AdminError(`The service does not respond: ${String(error)}`, true);
    });
    if (status === 200) return Results.parse(JSON.parse(text));
    const { error, retryable } = Failure.parse(JSON.parse(text));
    throw new AdminError(error, retryable);
  };
  return post(socket, { kind: 'count' }).then(
    () => ({ run, close: async () => undefined }),
    () => null,
  );
}
