import { z } from 'zod';

type HmacAlgorithm = 'HS256' | 'HS384' | 'HS512';

/** How tokens are proven. `development` asks for a secret made once and kept in `directory`. */
export type TokenTrust =
  | { readonly kind: 'secret'; readonly secret: Uint8Array; readonly algorithm: HmacAlgorithm }
  | { readonly kind: 'development'; readonly directory: string; readonly algorithm: HmacAlgorithm }
  | { readonly kind: 'key-set'; readonly url: URL };

type DatabasePlace =
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
  /** TCP port; 0 lets the system choose. */
  readonly port: number;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  readonly database: DatabasePlace;
  readonly trust: TokenTrust;
  readonly issuer: string | null;
  readonly audience: string | null;
  /** Origins as browsers send them: scheme, host and port, in lower case. */
  readonly frontendOrigins: readonly string[];
  /** Requests per user and minute; 0 is no limit. */
  readonly rateLimitPerMinute: number;
}

/** Every fault of the settings at once; `message` has one line for each and never a setting's value. */
class ConfigError extends Error {
  constructor(faults: readonly string[]) {
    super(`The settings are not right:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

const MIN_SECRET_BYTES = 32;
const DATABASE_SCHEMES = ['postgres:', 'postgresql:'];

const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be a whole number from ${least} to ${most}`);

const oneOf = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  z.enum(words, `must be one of ${words.join(', ')}`);

const onOff = oneOf(['true', 'false']).transform((word) => word === 'true');

const secret = z
  .string()
  .transform((text) => new TextEncoder().encode(text))
  .refine((bytes) => bytes.length >= MIN_SECRET_BYTES, `must be at least ${MIN_SECRET_BYTES} bytes long`);

const webUrl = z
  .string()
  .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), 'must be an http or https URL')
  .transform((text) => new URL(text))
  .refine((url) => url.username === '' && url.password === '', 'must be a URL without a user name or password');

const databaseUrl = z
  .string()
  .refine((text) => URL.canParse(text) && DATABASE_SCHEMES.includes(new URL(text).protocol), {
    message: 'must be a postgresql:// URL',
    abort: true,
  })
  .refine((text) => !new URL(text).pathname.includes('@'), 'must have what is special in its password percent-encoded');

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
  HOST: z.string().optional(),
  PORT: wholeNumber(0, 65_535).default(8000),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  DATABASE_URL: databaseUrl.optional(),
  DATABASE_CONNECTIONS: wholeNumber(1, 100).default(8),
  DATABASE_PIPELINE: onOff.default(true),
  DATABASE_NAMED_STATEMENTS: onOff.default(true),
  DATA_DIR: z.string().default('./data'),
  JWT_SECRET: secret.optional(),
  BETTER_AUTH_SECRET: secret.optional(),
  JWT_ALGORITHM: oneOf(['HS256', 'HS384', 'HS512']).default('HS256'),
  JWKS_URL: webUrl.optional(),
  JWT_ISSUER: z.string().optional(),
  JWT_AUDIENCE: z.string().optional(),
  FRONTEND_URL: origins.optional(),
  RATE_LIMIT_PER_MINUTE: wholeNumber(0, 1_000_000).optional(),
});

type Settings = z.output<typeof Environment>;

const NO_TRUST = 'JWT_SECRET (or BETTER_AUTH_SECRET, or JWKS_URL) is required in production';

function chooseTrust(settings: Settings): TokenTrust {
  if (settings.JWKS_URL !== undefined) return { kind: 'key-set', url: settings.JWKS_URL };
  const shared = settings.JWT_SECRET ?? settings.BETTER_AUTH_SECRET;
  if (shared !== undefined) return { kind: 'secret', secret: shared, algorithm: settings.JWT_ALGORITHM };
  return { kind: 'development', directory: settings.DATA_DIR, algorithm: settings.JWT_ALGORITHM };
}

function chooseDatabase(settings: Settings): DatabasePlace {
  if (settings.DATABASE_URL === undefined) return { kind: 'embedded', directory: settings.DATA_DIR };
  return {
    kind: 'postgres',
    url: settings.DATABASE_URL,
    connections: settings.DATABASE_CONNECTIONS,
    pipeline: settings.DATABASE_PIPELINE,
    namedStatements: settings.DATABASE_NAMED_STATEMENTS,
  };
}

/** A secret that is not used is not judged: a front end's environment is often shared whole. */
function settingsOf(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const given = Object.entries(environment).flatMap(([name, value]): [string, string][] =>
    value === undefined || value.trim() === '' ? [] : [[name, value]],
  );
  const settings = Object.fromEntries(given);
  if (settings.JWKS_URL !== undefined || settings.JWT_SECRET !== undefined) delete settings.BETTER_AUTH_SECRET;
  return settings;
}

/**
 * Reads the settings from environment variables; one that is empty counts as not set.
 * @throws {ConfigError} naming every wrong or missing setting.
 */
export function loadConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const given = settingsOf(environment);
  const parsed = Environment.safeParse(given);
  const faults = parsed.error?.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`) ?? [];
  const trustGiven = ['JWKS_URL', 'JWT_SECRET', 'BETTER_AUTH_SECRET'].some((name) => given[name] !== undefined);
  if (given.ENVIRONMENT === 'production' && !trustGiven) faults.push(NO_TRUST);
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  const settings = parsed.data;
  const production = settings.ENVIRONMENT === 'production';
  return {
    environment: settings.ENVIRONMENT,
    host: settings.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port: settings.PORT,
    logLevel: settings.LOG_LEVEL,
    database: chooseDatabase(settings),
    trust: chooseTrust(settings),
    issuer: settings.JWT_ISSUER ?? null,
    audience: settings.JWT_AUDIENCE ?? null,
    frontendOrigins: settings.FRONTEND_URL ?? (production ? [] : ['http://localhost:3000']),
    rateLimitPerMinute: settings.RATE_LIMIT_PER_MINUTE ?? (production ? 100 : 0),
  };
}
