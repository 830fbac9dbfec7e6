/** A fault of one field or other part of a request; `field` is its name, or `body` for the body as a whole. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** All error codes of the API. The list is closed; a code never changes its meaning. */
export const ERROR_CODES = [
  // Domain: independent of the transport.
  'UNAUTHORIZED',
  'INVALID_TOKEN',
  'TOKEN_EXPIRED',
  'VALIDATION_ERROR',
  'NOT_FOUND',
  'CONFLICT',
  'LIMIT_REACHED',
  'PRECONDITION_FAILED',
  'IDEMPOTENCY_MISMATCH',
  'CURSOR_EXPIRED',
  'RATE_LIMITED',
  'DATABASE_ERROR',
  'INTERNAL_ERROR',
  'SERVICE_UNAVAILABLE',
  // Transport: HTTP only.
  'INVALID_REQUEST',
  'METHOD_NOT_ALLOWED',
  'PAYLOAD_TOO_LARGE',
  'HEADERS_TOO_LARGE',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** The default message of each code. */
const DEFAULT_MESSAGES: Readonly<Record<ErrorCode, string>> = {
  UNAUTHORIZED: 'Invalid or missing authentication token',
  INVALID_TOKEN: 'Authentication token is invalid',
  TOKEN_EXPIRED: 'Authentication token has expired',
  VALIDATION_ERROR: 'Validation failed',
  NOT_FOUND: 'Task not found',
  CONFLICT: 'A deleted task has this id',
  LIMIT_REACHED: 'The limit of tasks is reached',
  PRECONDITION_FAILED: 'The task has been changed since',
  IDEMPOTENCY_MISMATCH: 'The key was used for another request',
  CURSOR_EXPIRED: 'Start again without a cursor',
  RATE_LIMITED: 'Too many requests',
  DATABASE_ERROR: 'A database error occurred',
  INTERNAL_ERROR: 'An internal server error occurred',
  SERVICE_UNAVAILABLE: 'Service temporarily unavailable',
  INVALID_REQUEST: 'Request body is not valid JSON',
  METHOD_NOT_ALLOWED: 'Method not allowed',
  PAYLOAD_TOO_LARGE: 'Request body is too large',
  HEADERS_TOO_LARGE: 'Request headers are too large',
};

interface AppErrorOptions {
  /** Replaces the default message of the code. */
  readonly message?: string;
  readonly details?: readonly FieldError[];
  /** For `PRECONDITION_FAILED`: the present state, JSON of the schema `Task`. */
  readonly current?: string | null;
  /** The index of the operation that failed, of several that were requested at once. */
  readonly index?: number;
  /** Machine-readable reason: logged, never sent to the client. */
  readonly reason?: string;
  /** The underlying error: logged, never sent to the client. */
  readonly cause?: unknown;
}

/** An error whose `code`, `message` and `details` are sent to the client, so they contain nothing internal. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly details: readonly FieldError[] | undefined;
  readonly current: string | null;
  readonly index: number | undefined;
  readonly reason: string | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.message ?? DEFAULT_MESSAGES[code], { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.details = options.details;
    this.current = options.current ?? null;
    this.index = options.index;
    this.reason = options.reason;
  }
}
