import { z } from 'zod';

const HMAC_ALGORITHMS = ['HS256', 'HS384', 'HS512'] as const;
type HmacAlgorithm = (typeof HMAC_ALGORITHMS)[number];

/** A key is at least as long as the hash (RFC 7518, 3.2). */
const MIN_SECRET_BYTES: Readonly<Record<HmacAlgorithm, number>> = { HS256: 32, HS384: 48, HS512: 64 };

/** The keys that verify tokens. `development`: a secret generated at the first start and stored in `directory`. */
export type TokenKeys =
  | { readonly kind: 'secret'; readonly secret: Uint8Array; readonly algorithm: HmacAlgorithm }
  | { readonly kind: 'development'; readonly directory: string; readonly algorithm: HmacAlgorithm }
  | { readonly kind: 'key-set'; readonly url: URL };

type DatabaseConfig =
  | { readonly kind: 'embedded'; readonly directory: string }
  | {
      readonly kind: 'postgres';
      readonly url: string;
      readonly connections: number;
      readonly pipeline: boolean;
      readonly namedStatements: boolean;
    };

export interface Config {
  readonly environment: 'development' | 'production';
  readonly host: string;
  /** TCP port; 0 selects an ephemeral port. */
  readonly port: number;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  readonly database: DatabaseConfig;
  readonly tokenKeys: TokenKeys;
  /** Accepted `iss` of tokens; `null`: not checked. */
  readonly issuer: readonly string[] | null;
  /** Accepted `aud` of tokens; `null`: not checked. */
  readonly audience: readonly string[] | null;
  /** The claim with the user id. */
  readonly userClaim: string;
  /** Serialized origins (RFC 6454, section 6.2): scheme, host and port, in lower case. */
  readonly frontendOrigins: readonly string[];
  /** Requests per user per minute; 0 disables the limit. */
  readonly rateLimitPerMinute: number;
  /** Tasks stored by one user; 0 is no limit. */
  readonly maxTasksPerUser: number;
  /** For how long the content of a deleted task is kept; 0 is not at all. */
  readonly deletedTasksDays: number;
}

const DATABASE_SCHEMES = ['postgres:', 'postgresql:'];
/** Parameters of a database URL that would replace what the service sets, or end connections behind its back. */
const UNSUPPORTED_PARAMETERS = ['query_timeout', 'statement_timeout', 'client_encoding', 'replication'];

function integer(min: number, max: number) {
  const message = `must be an integer from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message);
}

const oneOf = <const Values extends readonly [string, ...string[]]>(values: Values) =>
  z.enum(values, `must be one of ${values.join(', ')}`);

const flag = oneOf(['true', 'false']).transform((value) => value === 'true');

const secret = z.string().transform((text) => new TextEncoder().encode(text));

const webUrl = z
  .string()
  .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), 'must be an http or https URL')
  .transform((text) => new URL(text))
  .refine((url) => url.username === '' && url.password === '', 'must be a URL without a user name or password');

const commaSeparated = z
  .string()
  .transform((text) => text.split(',').map((value) => value.trim()))
  .refine((values) => !values.includes(''), 'must be a comma-separated list without empty values');

/** Claims that many users or a single token have. */
const NOT_OF_A_USER = ['iss', 'aud', 'exp', 'nbf', 'iat', 'jti'];

const userClaim = z
  .string()
  .trim()
  .refine(
    (name) => !NOT_OF_A_USER.includes(name),
    `must be a claim that names the user, not ${NOT_OF_A_USER.join(', ')}`,
  );

const databaseUrl = z
  .string()
  .refine((text) => URL.canParse(text) && DATABASE_SCHEMES.includes(new URL(text).protocol), {
    message: 'must be a postgresql:// URL',
    abort: true,
  })
  .refine(
    (text) => !new URL(text).pathname.includes('@'),
    'must have special characters in its password percent-encoded',
  )
  .refine(
    (text) => UNSUPPORTED_PARAMETERS.every((name) => !new URL(text).searchParams.has(name)),
    `must not have the parameters ${UNSUPPORTED_PARAMETERS.join(', ')}: remove them, the service has its own timeouts`,
  );

/** An IPv6 address may have the brackets of a URL. */
const host = z.string().transform((text) => text.replace(/^\[(.*)\]$/, '$1'));

function isOrigin(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && new URL(text).origin === text.toLowerCase();
}

const origins = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((origin) => origin.trim().replace(/\/$/, ''))
      .filter((origin) => origin !== ''),
  )
  .refine(
    (list) => list.every(isOrigin),
    'must be a comma-separated list of origins such as https://app.example.com (no path, no *)',
  )
  .transform((list) => list.map((origin) => origin.toLowerCase()));

const Environment = z.object({
  ENVIRONMENT: oneOf(['development', 'production']).default('development'),
  HOST: host.optional(),
  PORT: integer(0, 65_535).default(8000),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  DATABASE_URL: databaseUrl.optional(),
  DATABASE_CONNECTIONS: integer(1, 100).default(8),
  DATABASE_PIPELINE: flag.default(true),
  DATABASE_NAMED_STATEMENTS: flag.default(true),
  DATA_DIR: z.string().default('./data'),
  JWT_SECRET: secret.optional(),
  BETTER_AUTH_SECRET: secret.optional(),
  JWT_ALGORITHM: oneOf(HMAC_ALGORITHMS).default('HS256'),
  JWKS_URL: webUrl.optional(),
  JWKS_ALLOW_HTTP: flag.default(false),
  JWT_ISSUER: commaSeparated.optional(),
  JWT_AUDIENCE: commaSeparated.optional(),
  JWT_USER_CLAIM: userClaim.default('sub'),
  FRONTEND_URL: origins.optional(),
  RATE_LIMIT_PER_MINUTE: integer(0, 1_000_000).optional(),
  MAX_TASKS_PER_USER: integer(0, 100_000_000).default(100_000),
  DELETED_TASKS_DAYS: integer(0, 365).default(30),
});

type Settings = z.output<typeof Environment>;

const TOKEN_KEY_SETTINGS = ['JWKS_URL', 'JWT_SECRET', 'BETTER_AUTH_SECRET'];
const TOKEN_KEYS_REQUIRED = 'JWT_SECRET (or BETTER_AUTH_SECRET, or JWKS_URL) is required in production';
const MAKE_SECRET = 'to make one: openssl rand -base64 48';
const HTTPS_REQUIRED =
  'JWKS_URL must be an https URL in production; JWKS_ALLOW_HTTP=true allows http, for an issuer in a private network';
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function tokenKeys(settings: Settings): TokenKeys {
  if (settings.JWKS_URL !== undefined) return { kind: 'key-set', url: settings.JWKS_URL };
  const shared = settings.JWT_SECRET ?? settings.BETTER_AUTH_SECRET;
  if (shared !== undefined) return { kind: 'secret', secret: shared, algorithm: settings.JWT_ALGORITHM };
  return { kind: 'development', directory: settings.DATA_DIR, algorithm: settings.JWT_ALGORITHM };
}

function databaseConfig(settings: Settings): DatabaseConfig {
  if (settings.DATABASE_URL === undefined) return { kind: 'embedded', directory: settings.DATA_DIR };
  return {
    kind: 'postgres',
    url: settings.DATABASE_URL,
    connections: settings.DATABASE_CONNECTIONS,
    pipeline: settings.DATABASE_PIPELINE,
    namedStatements: settings.DATABASE_NAMED_STATEMENTS,
  };
}

/** Secrets are used as they are: tokens may have been signed with a key that begins or ends with a blank. */
const trimmed = (name: string, value: string) => (name.endsWith('_SECRET') ? value : value.trim());

/**
 * BETTER_AUTH_SECRET is not validated when another key setting takes precedence: front ends often share their whole
 * environment.
 */
function definedSettings(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const defined = Object.entries(environment).flatMap(([name, value]): [string, string][] =>
    value === undefined || value.trim() === '' ? [] : [[name, trimmed(name, value)]],
  );
  const settings = Object.fromEntries(defined);
  if (settings.JWKS_URL !== undefined || settings.JWT_SECRET !== undefined) delete settings.BETTER_AUTH_SECRET;
  return settings;
}

/** @returns what is wrong with the token settings together, also where another setting is invalid by itself. */
function tokenProblems(defined: Readonly<Record<string, string>>): string[] {
  const problems: string[] = [];
  const production = defined.ENVIRONMENT === 'production';
  if (production && !TOKEN_KEY_SETTINGS.some((name) => defined[name] !== undefined)) problems.push(TOKEN_KEYS_REQUIRED);
  const algorithm = HMAC_ALGORITHMS.find((name) => name === defined.JWT_ALGORITHM) ?? 'HS256';
  const bytes = MIN_SECRET_BYTES[algorithm];
  for (const name of ['JWT_SECRET', 'BETTER_AUTH_SECRET']) {
    const value = defined[name];
    if (value === undefined || Buffer.byteLength(value) >= bytes) continue;
    problems.push(`${name} must be at least ${bytes} bytes long for ${algorithm}; ${MAKE_SECRET}`);
  }
  const url = defined.JWKS_URL ?? '';
  if (production && defined.JWKS_ALLOW_HTTP !== 'true' && URL.canParse(url)) {
    const { protocol, hostname } = new URL(url);
    if (protocol === 'http:' && !LOOPBACK.test(hostname)) problems.push(HTTPS_REQUIRED);
  }
  return problems;
}

/**
 * Reads the configuration from environment variables. Empty or blank variables count as unset; white space around
 * values other than secrets is ignored.
 * @throws {Error} listing every invalid or missing variable, one line each, without its value.
 */
export function loadConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const defined = definedSettings(environment);
  const parsed = Environment.safeParse(defined);
  const problems = parsed.error?.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`) ?? [];
  problems.push(...tokenProblems(defined));
  if (!parsed.success || problems.length > 0) {
    throw new Error(`Invalid configuration:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
  }
  const settings = parsed.data;
  const production = settings.ENVIRONMENT === 'production';
  return {
    environment: settings.ENVIRONMENT,
    host: settings.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port: settings.PORT,
    logLevel: settings.LOG_LEVEL,
    database: databaseConfig(settings),
    tokenKeys: tokenKeys(settings),
    issuer: settings.JWT_ISSUER ?? null,
    audience: settings.JWT_AUDIENCE ?? null,
    userClaim: settings.JWT_USER_CLAIM,
    frontendOrigins: settings.FRONTEND_URL ?? (production ? [] : ['http://localhost:3000']),
    rateLimitPerMinute: settings.RATE_LIMIT_PER_MINUTE ?? (production ? 100 : 0),
    maxTasksPerUser: settings.MAX_TASKS_PER_USER,
    deletedTasksDays: settings.DELETED_TASKS_DAYS,
  };
}
