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

/** Lines are buffered, and written once there is this much, or after this time. */
const MIN_WRITE_BYTES = 8_192;
const FLUSH_INTERVAL_MS = 100;
/** While standard output is not read, this much is kept, and further lines are dropped. */
const MAX_BUFFERED_BYTES = 8 * 1_048_576;
const DROPPED_INTERVAL_MS = 1_000;
const LAST_FLUSH_MS = 200;

export interface LogOutput {
  readonly destination: DestinationStream;
  /** Logs to `logger`, which writes to `destination`, how many lines were dropped, as soon as there is room again. */
  readonly reportDropped: (logger: Logger) => void;
  /** Writes what is buffered, blocking for at most 200 ms; to be called when the process exits. */
  readonly flush: () => void;
}

/**
 * Standard output for a log. A reader that is slow, stops or goes away neither blocks the process nor fills its memory:
 * lines are dropped while 8 MiB wait to be read.
 */
export function openLogOutput(): LogOutput {
  let blockUntil = 0;
  void process.stdout; // opening it makes a pipe or socket non-blocking: a write fails with EAGAIN while it is full
  const destination = pino.destination({
    dest: 1,
    sync: true,
    minLength: MIN_WRITE_BYTES,
    maxLength: MAX_BUFFERED_BYTES,
    periodicFlush: FLUSH_INTERVAL_MS,
    retryEAGAIN: () => performance.now() < blockUntil,
  });
  destination.on('error', () => undefined); // what was not written stays in the buffer until the next write
  const reportDropped = (logger: Logger) => {
    let dropped = 0;
    let timer: NodeJS.Timeout | null = null;
    const report = () => {
      const lines = dropped;
      dropped = 0;
      logger.error({ lines }, 'log lines were dropped: standard output is not read fast enough');
      if (dropped > 0) {
        dropped = lines; // so was this one
      } else if (timer !== null) {
        clearInterval(timer);
        timer = null;
      }
    };
    destination.on('drop', () => {
      dropped += 1;
      timer ??= setInterval(report, DROPPED_INTERVAL_MS).unref();
    });
  };
  const flush = () => {
    blockUntil = performance.now() + LAST_FLUSH_MS;
    try {
      destination.flushSync();
    } catch {
      // still not read
    }
  };
  return { destination, reportDropped, flush };
}
