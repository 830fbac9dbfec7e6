import ICAL from 'ical.js';
import { z } from 'zod';
import {
  distinctTags,
  type Entry,
  idFromUid,
  isTimeZone,
  type Priority,
  type Refusal,
  SyntaxFault,
  type TaskEntry,
} from './record.ts';
import { decodeLine, readLines } from './text.ts';

/** A line of the file, before unfolding: longer ones, as attachments have, are passed over. */
const MAX_LINE_BYTES = 65_536;
/** Of the properties of one task that are read. */
const MAX_TASK_LENGTH = 131_072;

/** The properties that are read. Others, such as attachments, are not even kept until their component ends. */
const PROPERTIES = new Set([
  'UID',
  'SUMMARY',
  'DESCRIPTION',
  'STATUS',
  'COMPLETED',
  'PERCENT-COMPLETE',
  'CREATED',
  'PRIORITY',
  'CATEGORIES',
  'DUE',
  'DTSTART',
  'RRULE',
  'RECURRENCE-ID',
  'RELATED-TO',
  'X-TODO-API-LIST',
  'X-TODO-API-POSITION',
  'X-TODO-API-RECURRENCE-FROM',
]);

/** A property as ical.js parses it (jCal, RFC 7265): name, parameters, type, values. */
const Property = z.tuple([z.string(), z.record(z.string(), z.unknown()), z.string()]).rest(z.unknown());
const Component = z.tuple([z.string(), z.array(Property), z.array(z.unknown())]);
type Property = z.output<typeof Property>;

const NAME = /^[A-Za-z0-9-]+/;
const nameOf = (line: string) => NAME.exec(line)?.[0].toUpperCase() ?? '';

/** Up to the colon before the value; parameters in quotes may have colons (RFC 5545, 3.1). */
const BEFORE_VALUE = /^[^:"]*(?:"[^"]*"[^:"]*)*:/;
const rawValue = (line: string) => line.replace(BEFORE_VALUE, '').trim();

/**
 * The values of the properties `name` as they stand: ical.js drops the parts of a rule that it does not know, and takes a
 * comma behind an escaped backslash for an escaped one.
 */
const valuesOf = (lines: readonly string[], name: string) =>
  lines.filter((line) => nameOf(line) === name).map(rawValue);

interface ContentLine {
  /** Where it begins. */
  readonly line: number;
  readonly text: string;
}

/** Logical lines: unfolded as bytes, since a line may be folded within a character (RFC 5545, 3.1). */
async function* readContentLines(source: AsyncIterable<Buffer>): AsyncGenerator<ContentLine> {
  let parts: Buffer[] = [];
  let [start, length, isKept] = [0, 0, false];
  const take = (): ContentLine[] => {
    const bytes = parts;
    parts = [];
    return isKept && bytes.length > 0 ? [{ line: start, text: decodeLine(Buffer.concat(bytes), start) }] : [];
  };
  for await (const { number, bytes } of readLines(source, MAX_LINE_BYTES)) {
    const isFolded = bytes !== null && (bytes[0] === 0x20 || bytes[0] === 0x09);
    if (!isFolded) {
      yield* take();
      [start, length, isKept] = [number, 0, bytes !== null];
    }
    if (bytes === null || !isKept) continue;
    length += bytes.length;
    if (length > MAX_TASK_LENGTH) isKept = false;
    else parts.push(isFolded ? bytes.subarray(1) : bytes);
  }
  yield* take();
}

const first = (properties: readonly Property[], name: string) => properties.find((property) => property[0] === name);
const textOf = (property: Property | undefined) => (typeof property?.[3] === 'string' ? property[3] : null);

/** ical.js does not unescapeText the text of properties that it does not know (RFC 5545, 3.3.11). */
const unescapeText = (text: string) =>
  text.replace(/\\([\\;,nN])/g, (_, character: string) => (/n/i.test(character) ? '\n' : character));

const DATE = /^\d{4}-\d\d-\d\d$/;
const DATE_TIME = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(Z?)$/;

/** Names of time zones may have a prefix, which tells who defines them; `null` is floating. */
function zoneIn(given: unknown): string | null {
  if (typeof given !== 'string') return null;
  const parts = given.split('/').filter((part) => part !== '');
  for (const [from] of parts.entries()) {
    const name = parts.slice(from).join('/');
    if (isTimeZone(name)) return name;
  }
  return null;
}

function dueIn(property: Property | undefined): Readonly<Record<string, string | null>> {
  const value = textOf(property);
  if (value === null || DATE.test(value)) return { due_date: value };
  const [, date = value, time = null, utc = ''] = DATE_TIME.exec(value) ?? [];
  if (time === null) return { due_date: value };
  return { due_date: date, due_time: time, due_time_zone: utc === 'Z' ? 'UTC' : zoneIn(property?.[1].tzid) };
}

/** The moment in `property`, RFC 3339 in UTC; null if it has none. */
function momentIn(property: Property | undefined): string | null {
  const value = textOf(property);
  if (value === null) return null;
  if (DATE.test(value)) return `${value}T00:00:00.000000Z`;
  return DATE_TIME.test(value) ? `${value.slice(0, 19)}.000000Z` : null;
}

/** RFC 5545, 3.8.1.9: 1 to 4 are high, 5 is medium, 6 to 9 are low. */
function priorityIn(property: Property | undefined): Priority {
  const value = Number(property?.[3] ?? 0);
  if (value >= 1 && value <= 4) return 'high';
  if (value === 5) return 'medium';
  return value >= 6 && value <= 9 ? 'low' : 'none';
}

const CLOSED = ['COMPLETED', 'CANCELLED'];

function toEntry(
  line: number,
  properties: readonly Property[],
  lines: readonly string[],
  calendar: string | null,
): TaskEntry | Refusal {
  const refused = (message: string): Refusal => ({ kind: 'refused', line, message });
  const text = (name: string) => textOf(first(properties, name));
  const uid = text('uid');
  if (uid === null || uid === '') return refused('UID is missing');
  if (first(properties, 'recurrence-id') !== undefined) {
    return refused('RECURRENCE-ID: a single occurrence of a recurring task has no place here');
  }
  const parent = properties.find(
    ([name, parameters]) => name === 'related-to' && /^parent$/i.test(String(parameters.reltype ?? 'PARENT')),
  );
  const parentUid = textOf(parent);
  const completedAt = momentIn(first(properties, 'completed'));
  const isCompleted =
    CLOSED.includes(text('status')?.toUpperCase() ?? '') ||
    completedAt !== null ||
    Number(first(properties, 'percent-complete')?.[3] ?? 0) === 100;
  const categories = valuesOf(lines, 'CATEGORIES').flatMap((value) => value.match(/(?:\\.|[^\\,])+/g) ?? []);
  const list = unescapeText(text('x-todo-api-list') ?? '') || calendar;
  const created = momentIn(first(properties, 'created'));
  const [rule = null] = valuesOf(lines, 'RRULE');
  const [from, position] = [text('x-todo-api-recurrence-from'), text('x-todo-api-position')];
  return {
    kind: 'task',
    line,
    id: idFromUid('icalendar', uid),
    parentId: parentUid === null || parentUid === '' ? null : idFromUid('icalendar', parentUid),
    list: list === null ? null : { name: list },
    fields: {
      title: text('summary') ?? '',
      description: text('description'),
      is_completed: isCompleted,
      completed_at: completedAt,
      ...(created === null ? {} : { created_at: created }),
      priority: priorityIn(first(properties, 'priority')),
      tags: distinctTags(categories.map(unescapeText)),
      ...dueIn(first(properties, 'due') ?? (rule === null ? undefined : first(properties, 'dtstart'))),
      ...(rule === null ? {} : { recurrence: rule }),
      ...(from === null ? {} : { recurrence_from: from }),
      ...(position === null ? {} : { position }),
    },
  };
}

/** What is open: a calendar, a task in it, or a component of it or of the task that is not read. */
class CalendarReader {
  readonly #open: { readonly name: string; readonly line: number }[] = [];
  #calendar: string | null = null;
  #task: { readonly line: number; readonly lines: string[]; length: number } | null = null;
  #hasCalendar = false;

  read({ line, text }: ContentLine): Entry | null {
    const name = nameOf(text);
    if (name === 'BEGIN') return this.#begin(line, text.slice(6).trim().toUpperCase());
    if (name === 'END') return this.#end(line, text.slice(4).trim().toUpperCase());
    if (this.#open.length === 0) {
      if (text.trim() === '') return null;
      throw new SyntaxFault(line, 'The file is no iCalendar file: BEGIN:VCALENDAR is expected here');
    }
    const open = this.#open.at(-1)?.name;
    if (open === 'VCALENDAR' && (name === 'X-WR-CALNAME' || name === 'NAME')) {
      this.#calendar = unescapeText(rawValue(text)).trim() || null;
    } else if (open === 'VTODO' && this.#task !== null && PROPERTIES.has(name)) {
      this.#task.length += text.length;
      if (this.#task.length <= MAX_TASK_LENGTH) this.#task.lines.push(text);
    }
    return null;
  }

  /** @throws {SyntaxFault} if a component has not ended, or there was none. */
  end(line: number): void {
    const open = this.#open.at(-1);
    if (open !== undefined) throw new SyntaxFault(open.line, `The file ends before END:${open.name} of this line`);
    if (!this.#hasCalendar) throw new SyntaxFault(line, 'The file is no iCalendar file: it has no BEGIN:VCALENDAR');
  }

  #begin(line: number, name: string): null {
    if (this.#open.length === 0) {
      if (name !== 'VCALENDAR') throw new SyntaxFault(line, 'BEGIN:VCALENDAR is expected here');
      this.#hasCalendar = true;
      this.#calendar = null;
    }
    if (this.#open.length === 1 && name === 'VTODO') this.#task = { line, lines: [], length: 0 };
    if (this.#open.length >= 8) throw new SyntaxFault(line, 'Components are nested more than 8 deep');
    this.#open.push({ name, line });
    return null;
  }

  #end(line: number, name: string): Entry | null {
    const open = this.#open.pop();
    if (open?.name !== name) {
      const message = open === undefined ? `END:${name} has no BEGIN` : `END:${open.name} is expected here`;
      throw new SyntaxFault(line, message);
    }
    if (this.#open.length !== 1 || name !== 'VTODO' || this.#task === null) return null;
    const task = this.#task;
    this.#task = null;
    const refused = (message: string): Refusal => ({ kind: 'refused', line: task.line, message });
    if (task.length > MAX_TASK_LENGTH) return refused('The task is longer than 128 KiB');
    try {
      const parsed: unknown = ICAL.parse(`BEGIN:VTODO\r\n${task.lines.join('\r\n')}\r\nEND:VTODO`);
      const [, properties] = Component.parse(parsed);
      return toEntry(task.line, properties, task.lines, this.#calendar);
    } catch (error) {
      return refused(error instanceof Error ? error.message : 'The task is not valid iCalendar');
    }
  }
}

/** Reads the tasks (VTODO) of an iCalendar file (RFC 5545); other components are passed over. @throws {SyntaxFault} */
export async function* readICalendar(source: AsyncIterable<Buffer>): AsyncGenerator<Entry> {
  const reader = new CalendarReader();
  let last = 1;
  for await (const content of readContentLines(source)) {
    last = content.line;
    const entry = reader.read(content);
    if (entry !== null) yield entry;
  }
  reader.end(last);
}
