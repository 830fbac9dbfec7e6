import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { ServiceOptions } from './service.ts';
import { Gate } from './tokens.ts';

/** An issuer's key pair. */
export interface SigningKey {
  /** The public key, as published. */
  readonly jwk: JWK;
  readonly pem: string;
  /** Signs a token with these claims; `header` adds to its own, and may replace `kid` or, with `undefined`, omit it. */
  sign(claims: Record<string, unknown>, header?: Readonly<Record<string, unknown>>): Promise<string>;
}

export async function createKey(kid: string | undefined, alg = 'EdDSA'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    jwk: { ...(await exportJWK(publicKey)), ...(kid === undefined ? {} : { kid }), alg, use: 'sig' },
    pem: await exportSPKI(publicKey),
    sign: (claims, header = {}) => {
      const given: Record<string, unknown> = { kid, ...header };
      return new SignJWT(claims).setProtectedHeader({ ...given, alg }).sign(privateKey);
    },
  };
}

const send = (status: number, type: string, body: string) => (_request: IncomingMessage, response: ServerResponse) => {
  response.writeHead(status, { 'content-type': type }).end(body);
};

const keySetText = (keys: readonly object[], more: object = {}) => JSON.stringify({ keys, ...more });

/** A token issuer on a loopback port, whose key set endpoint responds as configured. */
export class Issuer {
  /** The number of requests received. */
  requests = 0;
  readonly paths: string[] = [];
  readonly #server: Server;
  #answer: RequestListener = () => undefined;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.requests += 1;
      this.paths.push(request.url ?? '');
      this.#answer(request, response);
    });
    this.goDown();
  }

  static async start(): Promise<Issuer> {
    const issuer = new Issuer();
    await new Promise<void>((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    return issuer;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api/auth/jwks`);
  }

  /** The configuration of a service that trusts this issuer. */
  get trusted(): NonNullable<ServiceOptions['config']> {
    return { tokenKeys: { kind: 'key-set', url: this.url } };
  }

  publish(...keys: readonly SigningKey[]): void {
    this.publishRaw(keySetText(keys.map(({ jwk }) => jwk)));
  }

  publishRaw(body: string, type = 'application/json', status = 200): void {
    this.#answer = send(status, type, body);
  }

  /** Publishes the key set, padded to exactly `bytes` bytes. */
  publishPadded(bytes: number, key: SigningKey): void {
    const bare = Buffer.byteLength(keySetText([key.jwk], { padding: '' }));
    this.publishRaw(keySetText([key.jwk], { padding: 'x'.repeat(bytes - bare) }));
  }

  /** Closes every connection without a response. */
  goDown(): void {
    this.#answer = (request) => request.socket.destroy();
  }

  /** Publishes the key set at `path` alone. @returns its address. */
  publishAt(path: string, ...keys: readonly object[]): URL {
    const answer = send(200, 'application/json', keySetText(keys));
    const notFound = send(404, 'text/plain', 'Not found');
    this.#answer = (request, response) => (request.url === path ? answer : notFound)(request, response);
    return new URL(path, this.url);
  }

  answerWith(answer: RequestListener): void {
    this.#answer = answer;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** Starts an issuer, calls `prepare` with it, and starts a service that trusts it; both are closed after the test. */
export async function openGateWithIssuer(
  context: TestContext,
  prepare: (issuer: Issuer) => void,
  keySetTimeoutMs?: number,
): Promise<{ issuer: Issuer; gate: Gate }> {
  const issuer = await Issuer.start();
  context.after(() => issuer.close());
  prepare(issuer);
  const gate = await Gate.open(issuer.trusted, undefined, keySetTimeoutMs);
  context.after(() => gate.close());
  return { issuer, gate };
}

/** Polls until `holds` is true, for what happens in the background. @throws when `signal` aborts. */
export async function eventually(holds: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  while (!(await holds())) {
    signal.throwIfAborted();
    await setImmediate();
  }
}
