import { type DestinationStream, type LevelWithSilent, type Logger, pino } from 'pino';

interface LoggedError {
  readonly type: string;
  readonly code?: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
}

const MAX_CAUSES = 5;

/** Connection strings, URLs with credentials in them, and tokens (RFC 7519). */
const SECRETS = /\b(?:postgres(?:ql)?:\/\/|[a-z][\w+.-]*:\/\/[^\s/@]*@)\S*|\beyJ[\w-]*\.[\w-]*\.[\w-]*/gi;

const withoutSecrets = (text: string) => text.replace(SECRETS, '[secret]');

/** Type, code, message, stack and causes, and nothing else: a driver's error can carry a row's contents beside them. */
function describeError(error: unknown, causes = MAX_CAUSES): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: 'A value that is no Error was thrown' };
  return {
    type: error.name,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    message: withoutSecrets(error.message),
    ...(error.stack === undefined ? {} : { stack: withoutSecrets(error.stack) }),
    ...(error.cause === undefined || causes === 0 ? {} : { cause: describeError(error.cause, causes - 1) }),
  };
}

/** Stands for requests and replies, whose headers hold tokens. */
const unsaid = () => undefined;

/** One JSON line an event, time as RFC 3339. */
export function createLogger(level: LevelWithSilent, destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => describeError(error), req: unsaid, res: unsaid },
    },
    destination,
  );
}
