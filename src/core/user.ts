import { codePointLength, isStorableText } from './text.ts';

declare const userId: unique symbol;

/** A proven `sub`: non-empty, at most 255 code points, no NUL, well-formed Unicode. */
export type UserId = string & { readonly [userId]: true };

/** Whoever the token proves. */
export interface Principal {
  readonly userId: UserId;
  readonly email: string | null;
}

/** In code points. */
export const MAX_USER_ID_LENGTH = 255;
const MAX_EMAIL_LENGTH = 320;

function isUserId(value: unknown): value is UserId {
  return (
    typeof value === 'string' && value !== '' && codePointLength(value) <= MAX_USER_ID_LENGTH && isStorableText(value)
  );
}

/** @returns the user a `sub` claim names (RFC 7519, 4.1.2), or `null` when it can name nobody. */
export function parseUserId(value: unknown): UserId | null {
  return isUserId(value) ? value : null;
}

/** @returns the `email` claim where it is usable text of at most 320 characters (RFC 3696 errata), else `null`. */
export function parseEmail(value: unknown): string | null {
  if (typeof value !== 'string' || value === '' || value.length > MAX_EMAIL_LENGTH) return null;
  return isStorableText(value) ? value : null;
}
