/** A position in one user's changes. */
export interface Cursor {
  /** The user's epoch, a UUID in lower case. */
  readonly epoch: string;
  /** All changes up to this version have been read. */
  readonly position: number;
  /** Within a first copy, the counter at which it began: above the position, and old deletions up to it are left out. */
  readonly base: number;
}

/** First byte of a cursor. */
const FORMAT = 1;
/** Format, epoch, position and base; a multiple of 3, so that each has one base64url text. */
const BYTES = 1 + 16 + 8 + 8;
const TEXT = /^[A-Za-z0-9_-]{44}$/;
const UUID = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/;

/** @returns the cursor as text: opaque to clients, unsigned, since it only says where in their own changes they are. */
export function encodeCursor({ epoch, position, base }: Cursor): string {
  const bytes = Buffer.alloc(BYTES);
  bytes[0] = FORMAT;
  bytes.write(epoch.replaceAll('-', ''), 1, 'hex');
  bytes.writeBigUInt64BE(BigInt(position), 17);
  bytes.writeBigUInt64BE(BigInt(base), 25);
  return bytes.toString('base64url');
}

/** @returns the cursor in `text`; null unless `encodeCursor` could have made it. */
export function parseCursor(text: string): Cursor | null {
  if (!TEXT.test(text)) return null;
  const bytes = Buffer.from(text, 'base64url');
  const position = Number(bytes.readBigUInt64BE(17));
  const base = Number(bytes.readBigUInt64BE(25));
  if (bytes[0] !== FORMAT || !Number.isSafeInteger(position) || !Number.isSafeInteger(base)) return null;
  if (base !== 0 && (position === 0 || base <= position)) return null;
  return { epoch: bytes.toString('hex', 1, 17).replace(UUID, '$1-$2-$3-$4-$5'), position, base };
}
