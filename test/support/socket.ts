import { connect, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Answered } from './envelope.ts';

/** Makes the service listen on a free port of the loopback interface. @returns the port. */
export async function listen(app: FastifyInstance): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

export async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
}

const READ_TIMEOUT_MS = 60_000;

/** Reads until the server closes the connection. @throws after 60 s. */
export function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const deadline = setTimeout(
      () => socket.destroy(new Error('The service has not closed the connection')),
      READ_TIMEOUT_MS,
    );
    socket.on('close', () => clearTimeout(deadline));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

/** An HTTP/1.1 request as text; a header with the value `null` is left out. */
export function wire(
  method: string,
  target: string,
  headers: Readonly<Record<string, string | null>> = {},
  body = '',
): string {
  const lines = Object.entries({ Host: 'localhost', ...headers })
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

/** Parses one or more complete responses to requests of `method`. */
export function parseAnswers(text: string, method = 'GET'): Answered[] {
  const answers: Answered[] = [];
  for (let rest = text; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n');
    const [start = '', ...lines] = rest.slice(0, end).split('\r\n');
    const statusCode = Number(/^HTTP\/1\.1 (\d{3}) /.exec(start)?.[1]);
    if (end === -1 || Number.isNaN(statusCode)) throw new Error(`Not a response: ${JSON.stringify(rest)}`);
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(': ');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)];
      }),
    );
    const length = method === 'HEAD' ? 0 : Number(headers['content-length'] ?? 0);
    const bytes = Buffer.from(rest.slice(end + 4), 'latin1');
    if (bytes.length < length) throw new Error(`Truncated response: ${JSON.stringify(rest)}`);
    answers.push({ statusCode, headers, body: bytes.subarray(0, length).toString('utf8') });
    rest = bytes.subarray(length).toString('latin1');
  }
  return answers;
}

/** Sends `bytes` on a new connection. @returns every response received before the server closed it. */
export async function exchange(port: number, bytes: string | Uint8Array, method = 'GET'): Promise<Answered[]> {
  const socket = await open(port);
  const all = readAll(socket);
  socket.write(bytes);
  return parseAnswers(await all, method);
}
