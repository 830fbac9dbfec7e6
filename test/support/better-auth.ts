import { randomBytes } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { toNodeHandler } from 'better-auth/node';
import { type JwtOptions, jwt } from 'better-auth/plugins';

/** The record of a signing key, as far as tests change it. */
interface StoredKey {
  expiresAt?: Date;
}

/** A Better Auth server, set up as its documentation describes, on a loopback port, with its data in memory. */
export class BetterAuthServer {
  readonly base: string;
  readonly close: () => Promise<void>;
  readonly #database: { readonly jwks: StoredKey[] };

  private constructor(base: string, database: { readonly jwks: StoredKey[] }, close: () => Promise<void>) {
    this.base = base;
    this.#database = database;
    this.close = close;
  }

  /** @param options of the plugin `jwt`. */
  static async start(options: JwtOptions = {}): Promise<BetterAuthServer> {
    let handle: RequestListener = (_request, response) => void response.writeHead(503).end();
    const server = createServer((request, response) => handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const database = { user: [], session: [], account: [], verification: [], jwks: [] };
    const auth = betterAuth({
      baseURL: base,
      secret: randomBytes(32).toString('hex'),
      database: memoryAdapter(database),
      emailAndPassword: { enabled: true },
      plugins: [jwt(options)],
      telemetry: { enabled: false },
      logger: { level: 'error' },
    });
    const answer = toNodeHandler(auth);
    handle = (request, response) => void answer(request, response);
    await fetch(`${base}/api/auth/jwks`); // the first request creates the key, and may take long
    return new BetterAuthServer(base, database, () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    });
  }

  /** Ends the time in which the present key signs: the next token is signed with a new one. */
  rotateKeys(): void {
    for (const key of this.#database.jwks) key.expiresAt = new Date(Date.now() - 1_000);
  }

  /** Signs a new user up, as a web page does. @returns the user's id and a token. */
  async signUp(email: string): Promise<{ readonly id: string; readonly token: string }> {
    const signedUp = await fetch(`${this.base}/api/auth/sign-up/email`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: this.base },
      body: JSON.stringify({ name: 'Some Body', email, password: 'correct horse battery staple' }),
    });
    if (signedUp.status !== 200) throw new Error(`sign-up was answered ${signedUp.status}: ${await signedUp.text()}`);
    const { user } = (await signedUp.json()) as { user: { id: string } };
    const cookie = signedUp.headers
      .getSetCookie()
      .map((line) => line.split(';', 1)[0])
      .join('; ');
    const answer = await fetch(`${this.base}/api/auth/token`, { headers: { cookie } });
    if (answer.status !== 200) throw new Error(`token was answered ${answer.status}: ${await answer.text()}`);
    const { token } = (await answer.json()) as { token: string };
    return { id: user.id, token };
  }
}
