import { generateKeyBetween } from 'fractional-indexing';
import { z } from 'zod';
import { codePointLength, isStorableText } from './text.ts';

/**
 * Patterns that mean the same in ECMA-262 (with and without the `u` flag), RE2 (Go), Rust, Python, Java and .NET, except
 * for white space beyond ASCII (docs/clients.md), and need time linear in the text when they backtrack.
 */
export const WITHOUT_NUL = '^[^\\x00]*$';
export const WITHOUT_NUL_NOT_BLANK = '^\\s*[^\\s\\x00][^\\x00]*$';

const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;

/** A UUID in upper or lower case; converted to lower case (RFC 9562, section 4). @param error the message for others. */
export const uuid = (error: string) =>
  z
    .string({ error })
    .refine((id) => UUID.test(id), error)
    .overwrite((id) => id.toLowerCase());

/** @returns `value` trimmed; adds an issue to `context` if that cannot be stored or has over `limit` code points. */
export function trimmed(value: string, label: string, limit: number, context: z.RefinementCtx): string {
  const text = value.trim();
  if (!isStorableText(text)) {
    context.addIssue({ code: 'custom', message: `${label} contains characters that cannot be stored` });
  } else if (codePointLength(text) > limit) {
    context.addIssue({ code: 'custom', message: `${label} cannot exceed ${limit} characters` });
  }
  return text;
}

const MAX_POSITION_LENGTH = 64;
const POSITION_PATTERN = '^[A-Za-z][0-9A-Za-z]+$';
const POSITION = 'Position must be a key of the npm package fractional-indexing, base 62, of at most 64 characters';

function isPosition(key: string): boolean {
  if (key.length > MAX_POSITION_LENGTH || !new RegExp(POSITION_PATTERN).test(key)) return false;
  try {
    generateKeyBetween(key, null);
    return true;
  } catch {
    return false;
  }
}

/** A place in an order: a key of the npm package `fractional-indexing`. */
export const position = z
  .string({ error: POSITION })
  .refine(isPosition, POSITION)
  .meta({
    description:
      'Its place among others, compared bytewise, ties by id: a key of the npm package `fractional-indexing` (base 62). ' +
      'A new one is the last if none is given.',
    maxLength: MAX_POSITION_LENGTH,
    pattern: POSITION_PATTERN,
    examples: ['a0'],
  });

/** Adds an issue to `context` that names the fields `names` if none of those is among `given`. */
export function requireOneOf(names: readonly string[], given: readonly string[], context: z.RefinementCtx): void {
  if (given.some((name) => names.includes(name))) return;
  const ignored = given.slice(0, 5).map((name) => name.slice(0, 50));
  const more = ignored.length === 0 ? '' : `: ${names.join(', ')}. Ignored: ${ignored.join(', ')}`;
  context.addIssue({ code: 'custom', path: ['body'], message: `At least one field must be provided${more}` });
}
