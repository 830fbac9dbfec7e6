import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';

export interface Answer {
  /** What the request was called in its `X-Request-Id`. */
  readonly requestId: string;
  /** 0 where there was no answer: the connection was refused or lost, or 15 s had passed. */
  readonly status: number;
  /** Why there was no answer, such as `ECONNREFUSED`; null where there was one. */
  readonly error: string | null;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** How long it took to come whole, in milliseconds. */
  readonly tookMs: number;
}

export interface Question {
  readonly method?: string;
  readonly token?: string;
  readonly body?: object;
}

/** Longer than the service may take over anything. */
const PATIENCE_MS = 15_000;

/** A client of a service, with connections that it keeps, and so many that no request waits for one. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4_096 });

  /** Never rejects: a request that got no answer has status 0. */
  ask(url: string, { method = 'GET', token, body }: Question = {}): Promise<Answer> {
    const from = performance.now();
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const requestId = randomUUID();
    const headers = {
      'x-request-id': requestId,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
    };
    return new Promise((resolve) => {
      const none = (reason: Error) => {
        const error = 'code' in reason ? String(reason.code) : reason.message;
        resolve({ requestId, status: 0, error, headers: {}, body: '', tookMs: performance.now() - from });
      };
      const asked = request(url, { agent: this.#agent, method, headers, timeout: PATIENCE_MS }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.once('error', none);
        answer.once('end', () => {
          const tookMs = performance.now() - from;
          resolve({
            requestId,
            status: answer.statusCode ?? 0,
            error: null,
            headers: answer.headers,
            body: Buffer.concat(parts).toString(),
            tookMs,
          });
        });
      });
      asked.once('timeout', () => asked.destroy(new Error('no answer')));
      asked.once('error', none);
      asked.end(payload);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
