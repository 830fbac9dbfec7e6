import { isUtf8 } from 'node:buffer';
import { SyntaxFault } from './record.ts';

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const BYTE_ORDER_MARK = Buffer.from('\ufeff');
const NOT_UTF8 = 'The file is not UTF-8 from here on: save it as UTF-8';

/** The line of the first byte in `chunk` that is no UTF-8; a character may have begun before it. */
function faultyLine(chunk: Buffer, firstLine: number): number {
  let from = 0;
  while (from < 3 && ((chunk[from] ?? 0) & 0b1100_0000) === 0b1000_0000) from += 1;
  for (let line = firstLine; ; line += 1) {
    const end = chunk.indexOf(LINE_FEED, from);
    if (end === -1 || !isUtf8(chunk.subarray(from, end))) return line;
    from = end + 1;
  }
}

/** The text of a file in UTF-8, without a byte order mark. @throws {SyntaxFault} if it is none. */
export async function* readText(source: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 1;
  for await (const chunk of source) {
    let text: string;
    try {
      text = decoder.decode(chunk, { stream: true });
    } catch {
      throw new SyntaxFault(faultyLine(chunk, line), NOT_UTF8);
    }
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, at + 1)) line += 1;
    if (text !== '') yield text;
  }
  try {
    decoder.decode();
  } catch {
    throw new SyntaxFault(line, NOT_UTF8);
  }
}

/** @throws {SyntaxFault} if `bytes`, of line `line`, are no UTF-8. */
export function decodeLine(bytes: Buffer, line: number): string {
  if (!isUtf8(bytes)) throw new SyntaxFault(line, NOT_UTF8);
  return bytes.toString('utf8');
}

interface Line {
  /** Counted from 1. */
  readonly number: number;
  /** Without the line break, LF or CRLF, and without a byte order mark; null if it has more than the maximum. */
  readonly bytes: Buffer | null;
}

/** The lines of a file, in memory for one of `maxBytes`. */
export async function* readLines(source: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Line> {
  let parts: Buffer[] = [];
  let length = 0;
  let number = 1;
  const add = (part: Buffer) => {
    length += part.length;
    if (length <= maxBytes) parts.push(part);
    else parts = [];
  };
  const take = (): Line => {
    let bytes = length > maxBytes ? null : parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
    if (bytes?.at(-1) === CARRIAGE_RETURN) bytes = bytes.subarray(0, -1);
    if (number === 1 && bytes?.subarray(0, 3).equals(BYTE_ORDER_MARK)) bytes = bytes.subarray(3);
    parts = [];
    length = 0;
    return { number: number++, bytes };
  };
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      add(chunk.subarray(from, end));
      yield take();
      from = end + 1;
    }
    if (from < chunk.length) add(chunk.subarray(from));
  }
  if (length > 0) yield take();
}
