import { AppError } from '../core/errors.ts';

interface WithHeaders {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Entity tags as sent, each perhaps weak (RFC 9110, 8.8.3); a comma within quotes is part of the tag. */
const TAG = '(?:W/)?"([\\x21\\x23-\\x7e\\x80-\\xff]*)"';
const TAGS = new RegExp(`^[ \\t]*${TAG}(?:[ \\t]*,[ \\t]*${TAG})*[ \\t]*$`);
const VERSION = /^(?:0|[1-9]\d{0,15})$/;

const invalid = (message: string) => new AppError('INVALID_REQUEST', { message });

/** @returns the opaque parts of the tags in `value`, or '*'. @throws {AppError} `INVALID_REQUEST` for anything else. */
function parseTags(header: string, value: string): readonly string[] | '*' {
  if (value.trim() === '*') return '*';
  if (!TAGS.test(value)) throw invalid(`${header} must be *, or tags in double quotes, as in ${header}: "7"`);
  return [...value.matchAll(new RegExp(TAG, 'g'))].map(([, opaque = '']) => opaque);
}

const headerOf = ({ headers }: WithHeaders, name: 'if-match' | 'if-none-match') => headers[name]?.toString();

/**
 * `If-Match` of a write (RFC 9110, 13.1.1); weak tags are accepted, because proxies that compress make them of ours.
 * @returns the versions on which the write may be made, null for any. @throws {AppError} `INVALID_REQUEST`
 */
export function expectedVersions(request: WithHeaders): readonly number[] | null {
  const value = headerOf(request, 'if-match');
  if (value === undefined) return null;
  const tags = parseTags('If-Match', value);
  return tags === '*' ? null : tags.filter((tag) => VERSION.test(tag)).map(Number);
}

/**
 * `If-None-Match` of a write, which can only be `*` (RFC 9110, 13.1.2).
 * @returns whether it was sent: the write must create. @throws {AppError} `INVALID_REQUEST`
 */
export function mustCreate(request: WithHeaders): boolean {
  const value = headerOf(request, 'if-none-match');
  if (value === undefined) return false;
  if (value.trim() !== '*') throw invalid('If-None-Match of a write must be *, which creates');
  if (request.headers['if-match'] !== undefined) throw invalid('If-Match and If-None-Match exclude each other');
  return true;
}

/** `If-None-Match` of a read: what the client has. @throws {AppError} `INVALID_REQUEST` */
export function knownTags(request: WithHeaders): readonly string[] | '*' {
  const value = headerOf(request, 'if-none-match');
  return value === undefined ? [] : parseTags('If-None-Match', value);
}

/** @returns whether the client has the representation with the tag `opaque` already: 304. */
export const isKnown = (known: readonly string[] | '*', opaque: string): boolean =>
  known === '*' || known.includes(opaque);
