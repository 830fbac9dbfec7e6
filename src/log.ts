import { type DestinationStream, type LevelWithSilent, type Logger, pino } from 'pino';

interface LoggedError {
  readonly type: string;
  readonly code?: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
}

const MAX_CAUSES = 5;

/** Connection strings, URLs with credentials, and JWTs (RFC 7519). */
const SECRETS = /\b(?:postgres(?:ql)?:\/\/|[a-z][\w+.-]*:\/\/[^\s/@]*@)\S*|\beyJ[\w-]*\.[\w-]*\.[\w-]*/gi;

const redact = (text: string) => text.replace(SECRETS, '[secret]');

/** Only type, code, message, stack and causes: other properties of a driver's error can contain row values. */
function describeError(error: unknown, causes = MAX_CAUSES): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: 'Thrown value is not an Error' };
  return {
    type: error.name,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    message: redact(error.message),
    ...(error.stack === undefined ? {} : { stack: redact(error.stack) }),
    ...(error.cause === undefined || causes === 0 ? {} : { cause: describeError(error.cause, causes - 1) }),
  };
}

/** Serializer that drops requests and replies: their headers carry tokens. */
const omit = () => undefined;

/** RFC 3339 timestamps, formatted once per millisecond. */
function createTimestamp(): () => string {
  let formattedMs = 0;
  let field = '';
  return () => {
    const nowMs = Date.now();
    if (nowMs !== formattedMs) field = `,"time":"${new Date(nowMs).toISOString()}"`;
    formattedMs = nowMs;
    return field;
  };
}

/** A logger that writes one JSON object per line to `destination`, with `time` in RFC 3339 format. */
export function createLogger(level: LevelWithSilent, destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: createTimestamp(),
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => describeError(error), req: omit, res: omit },
    },
    destination,
  );
}
