import type { ErrorBody, FieldError, List, Task } from './api-types.ts';

/** The body of an error answer, of which a proxy's own error has nothing. */
export type AnyErrorBody = Partial<Omit<ErrorBody, 'code'>> & {
  readonly code?: string;
  readonly current?: Task | List;
};

/**
 * Every failure of the client. With a status it is the service's answer and `code` the service's code. With status 0
 * there was no answer: `NETWORK` (not reached, or the answer was lost), `TIMEOUT`, `TOKEN` (the token function
 * failed), `USER_CHANGED` (the token is of another user), `STORAGE_FULL`, `STORAGE` (the local copy cannot be read or
 * written), `CLOSED`.
 */
export class TodoApiError extends Error {
  override readonly name = 'TodoApiError';
  readonly status: number;
  readonly code: string;
  readonly details: readonly FieldError[];
  /** The task or list as it is now, of a 412. */
  readonly current: Task | List | null;
  /** What `Retry-After` asks to wait, or null. */
  readonly retryAfterMs: number | null;

  constructor(status: number, body: AnyErrorBody, options: { cause?: unknown; retryAfterMs?: number | null } = {}) {
    super(body.error ?? `The answer had the status ${status}`, { cause: options.cause });
    this.status = status;
    this.code = body.code ?? 'UNKNOWN';
    this.details = body.details ?? [];
    this.current = body.current ?? null;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/** An error without an answer of the service. */
export const localError = (code: string, error: string, cause?: unknown) =>
  new TodoApiError(0, { error, code }, { cause });

const TRANSIENT = new Set([429, 500, 502, 503, 504]);

/** Whether the same request may succeed later without anybody doing anything. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof TodoApiError)) return false;
  return error.status === 0 ? ['NETWORK', 'TIMEOUT'].includes(error.code) : TRANSIENT.has(error.status);
}
