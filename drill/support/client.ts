import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { signToken } from '../../test/support/service.ts';

export interface Response {
  /** The `X-Request-Id` that was sent. */
  readonly requestId: string;
  /** 0 when there was no response: connection refused, connection lost, or timeout. */
  readonly status: number;
  /** Why there was no response, such as `ECONNREFUSED`; null when there was one. */
  readonly error: string | null;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** `performance.now()` when the request was sent, and when the response was complete or failed. */
  readonly sentAt: number;
  readonly receivedAt: number;
}

interface RequestOptions {
  readonly method?: string;
  /** The `sub` of the token to send; no token without it. */
  readonly user?: string;
  /** Text is sent as it is. */
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the request and its connection. */
  readonly signal?: AbortSignal;
}

/** Longer than the service may take for any response. */
const TIMEOUT_MS = 15_000;

/** An HTTP client with keep-alive connections, as many as there are concurrent requests. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4_096 });
  readonly #tokens = new Map<string, Promise<string>>();

  /** @returns the value of an `Authorization` header. */
  async authorization(user: string): Promise<string> {
    const token = this.#tokens.get(user) ?? signToken(user);
    this.#tokens.set(user, token);
    return `Bearer ${await token}`;
  }

  /** Never rejects: without a response, the status is 0. */
  async request(url: string, options: RequestOptions = {}): Promise<Response> {
    const { method = 'GET', user, body, signal } = options;
    const payload = typeof body === 'object' ? JSON.stringify(body) : body;
    const requestId = randomUUID();
    const headers = {
      ...options.headers,
      'x-request-id': requestId,
      ...(user === undefined ? {} : { authorization: await this.authorization(user) }),
      ...(payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
    };
    const sentAt = performance.now();
    return new Promise((resolve) => {
      const settle = (outcome: Omit<Response, 'requestId' | 'sentAt' | 'receivedAt'>) =>
        resolve({ ...outcome, requestId, sentAt, receivedAt: performance.now() });
      const fail = (reason: Error) => {
        const error = 'code' in reason ? String(reason.code) : reason.message;
        settle({ status: 0, error, headers: {}, body: '' });
      };
      const limits = { timeout: TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) };
      const sent = request(url, { agent: this.#agent, method, headers, ...limits }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', fail);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          settle({ status: response.statusCode ?? 0, error: null, headers: response.headers, body: text });
        });
      });
      sent.once('timeout', () => sent.destroy(new Error('timeout')));
      sent.once('error', fail);
      sent.end(payload);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
