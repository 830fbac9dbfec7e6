import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { RunningService, temporaryFolder } from '../support/process.ts';

const LIMIT = { timeout: 60_000 };
const SHORT = 'quokka-secret-of-the-issuer-0123';
const secretOf = (bytes: number) => SHORT.repeat(4).slice(0, bytes);

describe('the settings of tokens', () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  const production = { ENVIRONMENT: 'production', HOST: '127.0.0.1', DATA_DIR: join(folder.path, 'data') };
  const secretTooShort = (name: string, bytes: number, algorithm: string) =>
    `  - ${name} must be at least ${bytes} bytes long for ${algorithm}; to make one: openssl rand -base64 48`;
  const noHttps =
    '  - JWKS_URL must be an https URL in production; JWKS_ALLOW_HTTP=true allows http, for an issuer in a private network';
  const emptyValue = (name: string) => `  - ${name} must be a comma-separated list without empty values`;

  const refused: readonly [about: string, settings: Record<string, string>, message: string][] = [
    [
      'a secret shorter than the hash of HS256',
      { JWT_SECRET: secretOf(31), ENVIRONMENT: 'development' },
      secretTooShort('JWT_SECRET', 32, 'HS256'),
    ],
    [
      'a secret shorter than the hash of HS384',
      { JWT_SECRET: secretOf(47), JWT_ALGORITHM: 'HS384' },
      secretTooShort('JWT_SECRET', 48, 'HS384'),
    ],
    [
      'a secret shorter than the hash of HS512',
      { BETTER_AUTH_SECRET: secretOf(63), JWT_ALGORITHM: 'HS512' },
      secretTooShort('BETTER_AUTH_SECRET', 64, 'HS512'),
    ],
    ['a key set over http', { JWKS_URL: 'http://auth:3000/jwks' }, noHttps],
    ['a key set over http in a private network', { JWKS_URL: 'http://10.0.0.7/jwks' }, noHttps],
    ['a key set of a host named like the loopback', { JWKS_URL: 'http://127.0.0.1.example.com/jwks' }, noHttps],
    ['an empty issuer', { JWT_SECRET: SHORT, JWT_ISSUER: 'https://a.example, ,' }, emptyValue('JWT_ISSUER')],
    ['an empty audience', { JWT_SECRET: SHORT, JWT_AUDIENCE: ',' }, emptyValue('JWT_AUDIENCE')],
    [
      'a user claim that all users share',
      { JWT_SECRET: SHORT, JWT_USER_CLAIM: 'iss' },
      '  - JWT_USER_CLAIM must be a claim that names the user, not iss, aud, exp, nbf, iat, jti',
    ],
  ];
  for (const [about, settings, message] of refused) {
    test(`${about} is refused at the start, with what to do`, LIMIT, async () => {
      const service = new RunningService({ ...production, ...settings }, folder.path);
      assert.equal(await service.ended(), 1);
      assert.equal(service.stderr, `Invalid configuration:\n${message}\n`);
      assert.equal(service.stdout, '');
    });
  }

  test('are accepted: secrets as long as the hash, and key sets over http where that is safe or asked for', async () => {
    const unusable = { DATABASE_URL: 'postgresql://127.0.0.1:1/none?sslrootcert=/nowhere' }; // the start ends there
    for (const settings of [
      { JWT_SECRET: secretOf(32) },
      { JWT_SECRET: secretOf(48), JWT_ALGORITHM: 'HS384' },
      { JWT_SECRET: secretOf(64), JWT_ALGORITHM: 'HS512' },
      { JWKS_URL: 'http://localhost:3000/jwks' },
      { JWKS_URL: 'http://127.0.0.1:3000/jwks' },
      { JWKS_URL: 'http://[::1]:3000/jwks' },
      { JWKS_URL: 'http://auth:3000/jwks', JWKS_ALLOW_HTTP: 'true' },
      { JWKS_URL: 'http://auth:3000/jwks', ENVIRONMENT: 'development' },
      { JWKS_URL: 'https://auth.example.com/jwks', JWT_ISSUER: ' https://a.example , https://b.example ' },
    ]) {
      const service = new RunningService({ ...production, ...unusable, ...settings }, folder.path);
      assert.equal(await service.ended(), 1);
      assert.doesNotMatch(service.stderr, /Invalid configuration/, JSON.stringify(settings));
      assert.notEqual(service.stderr, '');
    }
  });

  test('the development token names its user in the claim of JWT_USER_CLAIM', async () => {
    const service = new RunningService({ DATA_DIR: join(folder.path, 'own'), JWT_USER_CLAIM: 'uid' }, folder.path);
    const origin = await service.listening();
    const [token = ''] = /eyJ[\w.-]+/.exec(service.stderr) ?? [];
    const answer = await fetch(`${origin}/api/tasks`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 200);
    assert.equal(await service.stop(), 0);
  });
});
