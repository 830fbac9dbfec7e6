import { AppError, type ErrorCode, type FieldError } from '../core/errors.ts';

/** The HTTP status of each code (RFC 9110, section 15). */
const STATUS: Readonly<Record<ErrorCode, number>> = {
  UNAUTHORIZED: 401,
  INVALID_TOKEN: 401,
  TOKEN_EXPIRED: 401,
  VALIDATION_ERROR: 400,
  INVALID_REQUEST: 400,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  PAYLOAD_TOO_LARGE: 413,
  RATE_LIMITED: 429,
  HEADERS_TOO_LARGE: 431,
  DATABASE_ERROR: 500,
  INTERNAL_ERROR: 500,
  SERVICE_UNAVAILABLE: 503,
};

const RETRY_AFTER_S = '1';

/** Response headers by error code (RFC 6750, section 3; RFC 9110, 10.2.3). */
const HEADERS: Partial<Readonly<Record<ErrorCode, Readonly<Record<string, string>>>>> = {
  UNAUTHORIZED: { 'www-authenticate': 'Bearer' },
  INVALID_TOKEN: { 'www-authenticate': 'Bearer error="invalid_token"' },
  TOKEN_EXPIRED: { 'www-authenticate': 'Bearer error="invalid_token"' },
  SERVICE_UNAVAILABLE: { 'retry-after': RETRY_AFTER_S },
};

export const JSON_TYPE = 'application/json; charset=utf-8';

export interface ErrorReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON */
  readonly body: string;
}

/** The HTTP response for an error. */
export function errorReply(error: AppError): ErrorReply {
  const { code, message, details } = error;
  return {
    status: STATUS[code],
    headers: { 'content-type': JSON_TYPE, ...HEADERS[code] },
    body: JSON.stringify({ error: message, code, ...(details === undefined ? {} : { details }) }),
  };
}

interface Issue {
  readonly instancePath?: string;
  readonly message?: string | undefined;
}

/** The first error of each field. */
function fieldErrors(issues: readonly Issue[]): FieldError[] {
  const errors = new Map<string, FieldError>();
  for (const { instancePath = '', message = 'Invalid value' } of issues) {
    const field = instancePath.split('/').filter(Boolean).join('.') || 'body';
    if (!errors.has(field)) errors.set(field, { field, message });
  }
  return [...errors.values()];
}

const invalidRequest = (message: string) => (cause: unknown) => new AppError('INVALID_REQUEST', { message, cause });

/** Fastify's error codes. */
const FRAMEWORK_ERRORS: Readonly<Record<string, (cause: unknown) => AppError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: (cause) => new AppError('PAYLOAD_TOO_LARGE', { cause }),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: invalidRequest('Content-Type must be application/json'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: invalidRequest('Request body does not match its Content-Length'),
};

/** A 4xx error of a plugin, such as @fastify/static's for an unsatisfiable `Range`. */
function isClientError(error: Error): boolean {
  if (!('statusCode' in error) || typeof error.statusCode !== 'number') return false;
  return error.statusCode >= 400 && error.statusCode < 500;
}

/** Converts any thrown value to an error that may be sent to the client; unknown ones become `INTERNAL_ERROR`. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof Error) {
    if ('validation' in error && Array.isArray(error.validation)) {
      return new AppError('VALIDATION_ERROR', { details: fieldErrors(error.validation) });
    }
    const known = 'code' in error && typeof error.code === 'string' ? FRAMEWORK_ERRORS[error.code] : undefined;
    if (known !== undefined) return known(error);
    if (isClientError(error)) return invalidRequest('Request is not valid')(error);
  }
  return new AppError('INTERNAL_ERROR', { cause: error });
}
