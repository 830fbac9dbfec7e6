import { AppError, type ErrorCode, type FieldError } from '../core/errors.ts';

type Headers = Readonly<Record<string, string>>;

const RETRY_LATER: Headers = { 'retry-after': '1' };
const REJECTED = 'Bearer error="invalid_token"';
const REJECTED_TOKEN: Headers = { 'www-authenticate': REJECTED };

/** Status (RFC 9110, section 15) and headers (RFC 6750, section 3; RFC 9110, 10.2.3) of each code. */
const RESPONSES: Readonly<Record<ErrorCode, readonly [status: number, headers?: Headers]>> = {
  UNAUTHORIZED: [401, { 'www-authenticate': 'Bearer' }],
  INVALID_TOKEN: [401, REJECTED_TOKEN],
  TOKEN_EXPIRED: [401, REJECTED_TOKEN],
  VALIDATION_ERROR: [400],
  NOT_FOUND: [404],
  CONFLICT: [409],
  LIMIT_REACHED: [409],
  PRECONDITION_FAILED: [412],
  IDEMPOTENCY_MISMATCH: [422],
  CURSOR_EXPIRED: [410],
  RATE_LIMITED: [429],
  DATABASE_ERROR: [500],
  INTERNAL_ERROR: [500],
  SERVICE_UNAVAILABLE: [503, RETRY_LATER],
  INVALID_REQUEST: [400],
  METHOD_NOT_ALLOWED: [405],
  PAYLOAD_TOO_LARGE: [413],
  HEADERS_TOO_LARGE: [431],
};

export const JSON_TYPE = 'application/json; charset=utf-8';

export interface ErrorReply {
  readonly status: number;
  readonly headers: Headers;
  /** JSON */
  readonly body: string;
}

/** The challenge to a rejected token, with its details as `error_description` (RFC 6750, section 3). */
function describedChallenge(details: readonly FieldError[]): Headers {
  const text = details.map(({ message }) => message).join(' ');
  return {
    'www-authenticate': `${REJECTED}, error_description="${text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '?')}"`,
  };
}

/** `value` as the last field of the JSON object `body`. */
const withField = (body: string, name: string, value: string) => `${body.slice(0, -1)},"${name}":${value}}`;

/** The HTTP response for an error. */
export function errorReply(error: AppError): ErrorReply {
  const { code, message, details, current, index } = error;
  const [status, headers] = RESPONSES[code];
  const body = JSON.stringify({ error: message, code, details, index });
  return {
    status,
    headers: {
      'content-type': JSON_TYPE,
      ...(headers === REJECTED_TOKEN && details !== undefined ? describedChallenge(details) : headers),
    },
    body: current === null ? body : withField(body, 'current', current),
  };
}

/** The first error of each field. */
function fieldErrors(issues: readonly { instancePath?: string; message?: string | undefined }[]): FieldError[] {
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
