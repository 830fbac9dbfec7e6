import { JSONParser } from '@streamparser/json';
import { type Entry, SyntaxFault, uuidIn } from './record.ts';
import { readText } from './text.ts';

/** The `format` of our JSON document. */
export const DOCUMENT_FORMAT = 'todo-api';
const NO_DOCUMENT = `The file is no export of this service: its "format" must be "${DOCUMENT_FORMAT}"`;

/** Of one task or list, in UTF-16 code units: the longest, with every character escaped, has half. */
const MAX_RECORD_LENGTH = 131_072;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function toEntry(collection: unknown, value: unknown, line: number): Entry | null {
  const refused = (message: string): Entry => ({ kind: 'refused', line, message });
  if (!isObject(value)) return refused('A record must be a JSON object');
  const { id: given, parent_id: parent, list_id: list, deleted_at: deletedAt, ...fields } = value;
  if (typeof deletedAt === 'string') return null;
  const id = uuidIn(given);
  if (id === null) return refused('id: must be a UUID');
  if (collection === 'lists') return { kind: 'list', line, id, fields };
  const [parentId, listId] = [uuidIn(parent), uuidIn(list)];
  if (parentId === null && parent !== undefined && parent !== null) return refused('parent_id: must be a UUID or null');
  if (listId === null && list !== undefined && list !== null) return refused('list_id: must be a UUID or null');
  return { kind: 'task', line, id, parentId, list: listId === null ? null : { id: listId }, fields };
}

/** `text` in pieces that end with a line break, and of at most 64 Ki code units. */
function* pieces(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from);
    const to = Math.min(end === -1 ? text.length : end + 1, from + 65_536);
    yield text.slice(from, to);
    from = to;
  }
}

/**
 * Reads our JSON document: an object with `format`, `lists` and `tasks`, which may stand in any order; lists and tasks
 * that are deleted are passed over. @throws {SyntaxFault}
 */
export async function* readDocument(source: AsyncIterable<Buffer>): AsyncGenerator<Entry> {
  const parser = new JSONParser({ paths: ['$.format', '$.lists.*', '$.tasks.*'], keepStack: false });
  const found: Entry[] = [];
  let line = 1;
  let sinceRecord = 0;
  let format: unknown;
  let failure: Error | undefined;
  parser.onError = (error) => {
    failure ??= error;
  };
  parser.onValue = ({ value, key, stack }) => {
    sinceRecord = 0;
    if (stack.length === 1) {
      if (key === 'format') format = value;
      return;
    }
    const entry = toEntry(stack[1]?.key, value, line);
    if (entry !== null) found.push(entry);
  };
  const requireFormat = () => {
    if (format !== DOCUMENT_FORMAT) throw new SyntaxFault(1, NO_DOCUMENT);
  };
  const requireValid = () => {
    if (failure !== undefined) throw new SyntaxFault(line, `The file is not valid JSON: ${failure.message}`);
    if (sinceRecord <= MAX_RECORD_LENGTH) return;
    requireFormat();
    throw new SyntaxFault(line, 'A record is longer than 128 KiB');
  };
  for await (const text of readText(source)) {
    for (const piece of pieces(text)) {
      sinceRecord += piece.length;
      parser.write(piece);
      requireValid();
      if (piece.endsWith('\n')) line += 1;
    }
    yield* found.splice(0);
  }
  if (!parser.isEnded) parser.end();
  requireValid();
  requireFormat();
}
