import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { EncryptJWT, SignJWT } from 'jose';
import { createKey, Issuer } from './support/issuer.ts';
import { Gate, makeToken, tokenSettings } from './support/tokens.ts';

const INVALID = '401 INVALID_TOKEN';
const PAGE = readFileSync(new URL('../docs/clients.md', import.meta.url), 'utf8');

/** What a reader puts in the place of the names in capitals. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  APP: 'app.example.com',
  'FRONTEND-API': 'clerk.example.com',
  TENANT: 'quokka.eu.auth0.com',
  'API-IDENTIFIER': 'https://todo.example.com',
  PROJECT: 'quokkaquokkaquokka01',
  HOST: 'id.example.com',
  REALM: 'acme',
  'TODO-API': 'todo-api',
};
const PLACEHOLDER = new RegExp(`(?<![A-Z])(${Object.keys(PLACEHOLDERS).join('|')})(?![A-Z_=])`, 'g');
const fillIn = (text: string) => text.replace(PLACEHOLDER, (name) => PLACEHOLDERS[name] ?? name);

/** The settings in the table of issuers, by the first column; `JWT_SECRET` has no value. */
function settingsInDocs(): Map<string, Record<string, string>> {
  const [, table = ''] = /## Issuers\n[\s\S]*?\n\| issuer \|.*\n\| --- \|.*\n((?:\|.*\n)+)/.exec(PAGE) ?? [];
  const codeIn = (cell = '') => /`([^`]+)`/.exec(cell)?.[1] ?? '';
  return new Map(
    table
      .trimEnd()
      .split('\n')
      .map((row) => {
        const [, issuer = '', keys, iss, aud] = row.split('|').map((cell) => cell.trim());
        const [name = '', value = ''] = codeIn(keys).split(/=(.*)/s);
        const settings = { [name]: value, JWT_ISSUER: codeIn(iss), JWT_AUDIENCE: codeIn(aud) };
        return [issuer.replaceAll('`', ''), settings] as const;
      })
      .map(([issuer, settings]) => [
        issuer,
        Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, fillIn(value)])),
      ]),
  );
}

type Claims = Record<string, unknown>;

interface IssuerCase {
  /** Where the issuer publishes its keys; without, it signs with a secret. */
  readonly jwksPath?: string;
  readonly alg: string;
  /** Of tokens, beside `alg` and `kid`. */
  readonly header: Record<string, unknown>;
  /** Of the published key, beside `kty`, `kid`, `alg` and its value. */
  readonly key?: Record<string, unknown>;
  /** Keys published beside the one that signs. */
  readonly otherKeys?: readonly object[];
  readonly secret?: string;
  readonly user: string;
  /** Claims of a token that the issuer makes at `now`, in seconds. */
  readonly claims: (now: number) => Claims;
  /** Changes of claims that turn it into another token of the issuer, which is not meant for this API. */
  readonly others: Readonly<Record<string, Claims>>;
  /** A token of the issuer that is no JWT, or not signed with a key that it publishes. */
  readonly unreadable?: () => string | Promise<string>;
}

const BASE64_SECRET = randomBytes(64).toString('base64');
const UUID = '8d0e5f1c-6c1e-4f0a-9d53-2f6f2b1c7a90';

const CASES: Readonly<Record<string, IssuerCase>> = {
  'Better Auth, plugin jwt': {
    jwksPath: '/api/auth/jwks',
    alg: 'EdDSA',
    header: {},
    user: 'pQ3xW9vK2mN8rT5yB7cD1fG4hJ6kL0zA',
    claims: (iat) => ({
      iat,
      name: 'Ann',
      email: 'ann@example.com',
      emailVerified: false,
      image: null,
      createdAt: '2026-11-21T04:27:17.314Z',
      id: 'pQ3xW9vK2mN8rT5yB7cD1fG4hJ6kL0zA',
      sub: 'pQ3xW9vK2mN8rT5yB7cD1fG4hJ6kL0zA',
      exp: iat + 900,
      iss: 'https://app.example.com',
      aud: 'https://app.example.com',
    }),
    others: { 'of another deployment': { iss: 'https://preview.example.com', aud: 'https://preview.example.com' } },
    unreadable: () => `${randomBytes(24).toString('base64url')}.${randomBytes(32).toString('base64')}`, // of a session
  },
  'Better Auth, shared secret': {
    alg: 'HS256',
    header: {},
    user: 'pQ3xW9vK2mN8rT5yB7cD1fG4hJ6kL0zA',
    claims: (iat) => ({ email: 'ann@example.com', sub: 'pQ3xW9vK2mN8rT5yB7cD1fG4hJ6kL0zA', iat, exp: iat + 900 }),
    others: {},
  },
  'Auth.js (NextAuth)': {
    alg: 'HS256',
    header: { typ: 'JWT' },
    user: 'cm3v1k2p30000abcd1234efgh',
    claims: (now) => ({ email: null, sub: 'cm3v1k2p30000abcd1234efgh', iat: now - 0.25, exp: now + 899.75 }),
    others: { 'without a user': { sub: undefined } },
    unreadable: () =>
      new EncryptJWT({ sub: 'cm3v1k2p30000abcd1234efgh' })
        .setProtectedHeader({ alg: 'dir', enc: 'A256CBC-HS512', kid: 'thumbprint' })
        .setIssuedAt()
        .setExpirationTime('30d')
        .encrypt(randomBytes(64)), // its session token
  },
  Clerk: {
    jwksPath: '/.well-known/jwks.json',
    alg: 'RS256',
    header: { cat: 'cl_B7d4PD111AAA', typ: 'JWT' },
    key: { use: 'sig' },
    user: 'user_2abCdEfGhIjKlMnOpQrStUvWxYz',
    claims: (iat) => ({
      azp: 'https://app.example.com',
      exp: iat + 60,
      fva: [7, -1],
      iat,
      iss: 'https://clerk.example.com',
      jti: '9f0f1d0a3c5b7e2d4f6a',
      nbf: iat - 10,
      o: { id: 'org_2xYz', rol: 'admin', slg: 'acme' },
      sid: 'sess_2aBcDeFgHiJkLmNoPqRsTuVwXyZ',
      sts: 'active',
      sub: 'user_2abCdEfGhIjKlMnOpQrStUvWxYz',
      v: 2,
    }),
    others: { 'of the development instance': { iss: 'https://quokka-1.clerk.accounts.dev' } },
  },
  Auth0: {
    jwksPath: '/.well-known/jwks.json',
    alg: 'RS256',
    header: { typ: 'at+jwt' },
    key: { use: 'sig', x5t: 'dGh1bWJwcmludA', x5c: ['MIIDBzCCAe8='] },
    otherKeys: [{ kty: 'RSA', use: 'sig', n: 'sXch', e: 'AQAB', kid: 'next', x5t: 'bmV4dA', alg: 'RS256' }],
    user: 'auth0|6553da60a54af58e29493993',
    claims: (iat) => ({
      iss: 'https://quokka.eu.auth0.com/',
      sub: 'auth0|6553da60a54af58e29493993',
      aud: ['https://todo.example.com', 'https://quokka.eu.auth0.com/userinfo'],
      iat,
      exp: iat + 86_400,
      scope: 'openid profile email',
      azp: 'K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja',
      permissions: [],
    }),
    others: {
      'for another API': { aud: ['https://billing.example.com', 'https://quokka.eu.auth0.com/userinfo'] },
      'an ID token': { aud: 'K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja', nonce: 'n-0S6_WzA2Mj' },
      'with an issuer without the slash': { iss: 'https://quokka.eu.auth0.com' },
    },
    unreadable: () => randomBytes(24).toString('base64url'), // the opaque token of a request without `audience`
  },
  Supabase: {
    jwksPath: '/auth/v1/.well-known/jwks.json',
    alg: 'ES256',
    header: { typ: 'JWT' },
    key: { use: 'sig', key_ops: ['verify'], ext: true },
    user: UUID,
    claims: supabaseClaims,
    others: {
      'of another project': { iss: 'https://wombatwombatwombat02.supabase.co/auth/v1' },
      'of nobody': { aud: 'anon', role: 'anon', sub: undefined },
    },
    // The legacy API key for anonymous use.
    unreadable: () =>
      makeToken({ alg: 'HS256', typ: 'JWT' }, { iss: 'supabase', ref: 'quokka', role: 'anon', iat: 1, exp: 4e9 }),
  },
  'Supabase, legacy secret': {
    alg: 'HS256',
    header: { typ: 'JWT', kid: 'bGVnYWN5' },
    secret: BASE64_SECRET,
    user: UUID,
    claims: supabaseClaims,
    others: {
      'the API key for anonymous use': { iss: 'supabase', aud: undefined, role: 'anon', sub: undefined },
      'the API key that bypasses users': { iss: 'supabase', aud: undefined, role: 'service_role', sub: undefined },
    },
  },
  Firebase: {
    jwksPath: '/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com',
    alg: 'RS256',
    header: { typ: 'JWT' },
    key: { use: 'sig' },
    user: 'Zk3aV7uJq2XbTn5WcR8yLhE4oPd1',
    claims: (iat) => ({
      name: 'Ann',
      iss: 'https://securetoken.google.com/quokkaquokkaquokka01',
      aud: 'quokkaquokkaquokka01',
      auth_time: iat - 3600,
      user_id: 'Zk3aV7uJq2XbTn5WcR8yLhE4oPd1',
      sub: 'Zk3aV7uJq2XbTn5WcR8yLhE4oPd1',
      iat,
      exp: iat + 3600,
      email: 'ann@example.com',
      email_verified: false,
      firebase: { identities: { email: ['ann@example.com'] }, sign_in_provider: 'password' },
    }),
    others: {
      'of another project': { iss: 'https://securetoken.google.com/wombat', aud: 'wombat' },
      'for another project': { aud: 'wombat' },
      'a session cookie': { iss: 'https://session.firebase.google.com/quokkaquokkaquokka01' },
    },
  },
  Keycloak: {
    jwksPath: '/realms/acme/protocol/openid-connect/certs',
    alg: 'RS256',
    header: { typ: 'JWT' },
    key: { use: 'sig', x5c: ['MIICmzCCAYM='], x5t: 'dGh1bWI', 'x5t#S256': 'dGh1bWJwcmludA' },
    otherKeys: [{ kid: 'enc', kty: 'RSA', alg: 'RSA-OAEP', use: 'enc', n: 'sXch', e: 'AQAB', x5c: ['MIICmzCCAYM='] }],
    user: UUID,
    claims: (iat) => ({
      exp: iat + 300,
      iat,
      auth_time: iat - 20,
      jti: `onrtac:${UUID}`,
      iss: 'https://id.example.com/realms/acme',
      aud: ['todo-api', 'account'],
      sub: UUID,
      typ: 'Bearer',
      azp: 'web',
      sid: UUID,
      acr: '1',
      'allowed-origins': ['https://app.example.com'],
      realm_access: { roles: ['offline_access', 'default-roles-acme', 'uma_authorization'] },
      resource_access: { account: { roles: ['manage-account', 'view-profile'] } },
      scope: 'openid email profile',
      email_verified: true,
      preferred_username: 'ann',
      email: 'ann@example.com',
    }),
    others: {
      'without the audience mapper': { aud: 'account' },
      'without any client role': { aud: undefined },
      'an ID token': { aud: 'web', typ: 'ID' },
      'of another realm': { iss: 'https://id.example.com/realms/master' },
    },
  },
};

function supabaseClaims(iat: number): Claims {
  return {
    iss: 'https://quokkaquokkaquokka01.supabase.co/auth/v1',
    sub: UUID,
    aud: 'authenticated',
    exp: iat + 3600,
    iat,
    email: 'ann@example.com',
    phone: '',
    app_metadata: { provider: 'email', providers: ['email'] },
    user_metadata: { email_verified: true, sub: 'somebody else' },
    role: 'authenticated',
    aal: 'aal1',
    amr: [{ method: 'password', timestamp: iat - 60 }],
    session_id: UUID,
    is_anonymous: false,
  };
}

test('the table of issuers in docs/clients.md has the issuers tested here', () => {
  assert.deepEqual([...settingsInDocs().keys()].sort(), Object.keys(CASES).sort());
});

for (const [name, issuer] of Object.entries(CASES)) {
  describe(`with the settings that docs/clients.md gives for ${name}`, () => {
    /** A service with these settings, in production, whose key set is fetched from the test's issuer. */
    async function open(t: TestContext) {
      const { JWKS_URL, JWT_SECRET, ...checks } = settingsInDocs().get(name) ?? {};
      const own = { ENVIRONMENT: 'production', ...checks };
      if (issuer.jwksPath === undefined) {
        assert.equal(JWT_SECRET, '', 'JWT_SECRET without a value');
        const secret = issuer.secret ?? randomBytes(48).toString('base64');
        const sign = (claims: Claims, text = secret) =>
          new SignJWT(claims).setProtectedHeader({ ...issuer.header, alg: issuer.alg }).sign(Buffer.from(text));
        const gate = await Gate.open(tokenSettings({ ...own, JWT_SECRET: secret }));
        const forge = (claims: Claims) => sign(claims, randomBytes(48).toString('base64'));
        return { gate, sign, forge };
      }
      assert.ok(JWKS_URL !== undefined);
      const [key, stranger] = await Promise.all([createKey('kid-1', issuer.alg), createKey('kid-1', issuer.alg)]);
      const { use: _use, ...jwk } = key.jwk;
      const server = await Issuer.start();
      t.after(() => server.close());
      const url = server.publishAt(issuer.jwksPath, ...(issuer.otherKeys ?? []), { ...jwk, ...issuer.key });
      assert.equal(new URL(JWKS_URL).pathname, url.pathname);
      const trusted = tokenSettings({ ...own, JWKS_URL });
      const gate = await Gate.open({ ...trusted, tokenKeys: { kind: 'key-set', url } });
      return {
        gate,
        sign: (claims: Claims) => key.sign(claims, issuer.header),
        forge: (claims: Claims) => stranger.sign(claims, issuer.header),
      };
    }

    test('its tokens are accepted, as those of their user, and no others', async (t) => {
      const { gate, sign, forge } = await open(t);
      const claims = issuer.claims(gate.clock.seconds);
      const answer = await gate.ask(await sign(claims));
      assert.equal(answer.statusCode, 200, answer.body);
      assert.equal(gate.service.log.lineOf(answer).user_id, issuer.user);

      for (const [about, changes] of Object.entries(issuer.others)) {
        assert.equal(await gate.verdict(await sign({ ...claims, ...changes })), INVALID, about);
      }
      assert.equal(await gate.verdict(await forge(claims)), INVALID, 'signed by a stranger');
      if (issuer.unreadable !== undefined) assert.equal(await gate.verdict(await issuer.unreadable()), INVALID);
      gate.clock.advance(90_000);
      assert.equal(await gate.verdict(await sign(claims)), '401 TOKEN_EXPIRED');
    });
  });
}
