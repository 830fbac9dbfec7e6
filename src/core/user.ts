import { codePointLength, isStorableText } from './text.ts';

declare const userId: unique symbol;

/** The user claim of a verified token: non-empty, at most 255 code points, no NUL, well-formed Unicode. */
export type UserId = string & { readonly [userId]: true };

/** The authenticated user. */
export interface Principal {
  readonly userId: UserId;
  readonly email: string | null;
}

/** In code points; the e-mail's in UTF-16 code units. */
const MAX_USER_ID_LENGTH = 255;
const MAX_EMAIL_LENGTH = 320;

function isUserId(value: unknown): value is UserId {
  return (
    typeof value === 'string' && value !== '' && codePointLength(value) <= MAX_USER_ID_LENGTH && isStorableText(value)
  );
}

/** @returns `value` as a user id if it is one, else `null`. A number is none: beyond 2^53, two users could be one. */
export function parseUserId(value: unknown): UserId | null {
  return isUserId(value) ? value : null;
}

/** @returns `value` if it is storable text of 1 to 320 UTF-16 code units (RFC 3696, erratum 1690), else `null`. */
export function parseEmail(value: unknown): string | null {
  if (typeof value !== 'string' || value === '' || value.length > MAX_EMAIL_LENGTH) return null;
  return isStorableText(value) ? value : null;
}
