/** One faulty field of a request; `field` is its name, or `body` for the body as a whole. */
export interface FieldFault {
  readonly field: string;
  readonly message: string;
}

/** Everything that can be answered instead of a result. The list is closed: a code never changes its meaning. */
export const ERROR_CODES = [
  'UNAUTHORIZED',
  'INVALID_TOKEN',
  'TOKEN_EXPIRED',
  'VALIDATION_ERROR',
  'INVALID_REQUEST',
  'NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'PAYLOAD_TOO_LARGE',
  'RATE_LIMITED',
  'HEADERS_TOO_LARGE',
  'DATABASE_ERROR',
  'INTERNAL_ERROR',
  'SERVICE_UNAVAILABLE',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** The sentence a client reads with each code, where nothing more exact is said. */
const ERROR_MESSAGES: Readonly<Record<ErrorCode, string>> = {
  UNAUTHORIZED: 'Invalid or missing authentication token',
  INVALID_TOKEN: 'Authentication token is invalid',
  TOKEN_EXPIRED: 'Authentication token has expired',
  VALIDATION_ERROR: 'Validation failed',
  INVALID_REQUEST: 'Request body is not valid JSON',
  NOT_FOUND: 'Task not found',
  METHOD_NOT_ALLOWED: 'Method not allowed',
  PAYLOAD_TOO_LARGE: 'Request body is too large',
  RATE_LIMITED: 'Too many requests',
  HEADERS_TOO_LARGE: 'Request headers are too large',
  DATABASE_ERROR: 'A database error occurred',
  INTERNAL_ERROR: 'An internal server error occurred',
  SERVICE_UNAVAILABLE: 'Service temporarily unavailable',
};

interface AppErrorOptions {
  /** What the client reads instead of the code's usual sentence. */
  readonly message?: string;
  readonly details?: readonly FieldFault[];
  /** What went wrong underneath; goes to the log, never to the client. */
  readonly cause?: unknown;
}

/** An error that a client may read: its `message` and `details` hold nothing internal. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly details: readonly FieldFault[] | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.message ?? ERROR_MESSAGES[code], { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.details = options.details;
  }
}
