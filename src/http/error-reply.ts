import { AppError, type ErrorCode, type FieldFault } from '../core/errors.ts';

/** The HTTP status of each code (RFC 9110, section 15). */
export const STATUS: Readonly<Record<ErrorCode, number>> = {
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

/** Headers that an error's status asks for (RFC 6750, section 3; RFC 9110, 10.2.3). */
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
  /** JSON text. */
  readonly body: string;
}

/** Every error as the client reads it: status, the headers it asks for, and the contract's JSON. */
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

/** One entry a field, the first fault found in it. */
function faultsOf(issues: readonly Issue[]): FieldFault[] {
  const faults = new Map<string, FieldFault>();
  for (const { instancePath = '', message = 'Invalid value' } of issues) {
    const field = instancePath.split('/').filter(Boolean).join('.') || 'body';
    if (!faults.has(field)) faults.set(field, { field, message });
  }
  return [...faults.values()];
}

const invalidRequest = (message: string) => (cause: unknown) => new AppError('INVALID_REQUEST', { message, cause });

/** What Fastify's own errors mean here. */
const FRAMEWORK_ERRORS: Readonly<Record<string, (cause: unknown) => AppError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: (cause) => new AppError('PAYLOAD_TOO_LARGE', { cause }),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: invalidRequest('Content-Type must be application/json'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: invalidRequest('Request body does not match its Content-Length'),
};

/** A fault of the request that a plugin found, such as a `Range` past the end of a file. */
function isClientFault(error: Error): boolean {
  if (!('statusCode' in error) || typeof error.statusCode !== 'number') return false;
  return error.statusCode >= 400 && error.statusCode < 500;
}

/** Turns whatever was thrown into what a client may read; what is not known is `INTERNAL_ERROR`. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof Error) {
    if ('validation' in error && Array.isArray(error.validation)) {
      return new AppError('VALIDATION_ERROR', { details: faultsOf(error.validation) });
    }
    const known = 'code' in error && typeof error.code === 'string' ? FRAMEWORK_ERRORS[error.code] : undefined;
    if (known !== undefined) return known(error);
    if (isClientFault(error)) return invalidRequest('Request is not valid')(error);
  }
  return new AppError('INTERNAL_ERROR', { cause: error });
}
