import { v5 as uuidv5 } from 'uuid';
import { RecentMap } from '../core/recent-map.ts';
import { tagKey } from '../tasks/tag.ts';

/** A file that cannot be read on from `line`: nothing of it is imported. */
export class SyntaxFault extends Error {
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.name = 'SyntaxFault';
    this.line = line;
  }
}

/** The list of a task in a file: by its id (our document), by its name (other formats), or null for the inbox. */
export type ListReference = { readonly id: string } | { readonly name: string } | null;

/** The fields that users write, and `created_at` and `completed_at`, as far as the file has them; not checked yet. */
export type Fields = Readonly<Record<string, unknown>>;

export interface TaskEntry {
  readonly kind: 'task';
  /** Where it begins, counted from 1; in JSON where it ends. */
  readonly line: number;
  readonly id: string;
  readonly parentId: string | null;
  readonly list: ListReference;
  readonly fields: Fields;
}

export interface ListEntry {
  readonly kind: 'list';
  readonly line: number;
  readonly id: string;
  readonly fields: Fields;
}

/** A record that is faulty, while those around it are not. */
export interface Refusal {
  readonly kind: 'refused';
  readonly line: number;
  readonly message: string;
}

export type Entry = TaskEntry | ListEntry | Refusal;

/** What a format reads a file into, in its order and in constant memory. @throws {SyntaxFault} */
export type Reader = (source: AsyncIterable<Buffer>) => AsyncIterable<Entry>;

/** Makes entries of the rows below the header of a CSV file. */
export interface RowReader {
  row(line: number, cells: readonly string[]): readonly Entry[];
  /** What is left after the last row. */
  end(): readonly Entry[];
}

export type Priority = 'none' | 'low' | 'medium' | 'high';

/** A task that is not deleted, as formats write it; times are RFC 3339 in UTC. */
export interface WrittenTask {
  readonly id: string;
  readonly parent_id: string | null;
  /** The name of its list; null in the inbox. */
  readonly list: string | null;
  readonly title: string;
  readonly description: string | null;
  readonly is_completed: boolean;
  readonly completed_at: string | null;
  /** `YYYY-MM-DD` */
  readonly due_date: string | null;
  /** `HH:MM` */
  readonly due_time: string | null;
  readonly due_time_zone: string | null;
  readonly priority: Priority;
  readonly tags: readonly string[];
  readonly recurrence: string | null;
  readonly recurrence_from: 'due' | 'completed';
  readonly position: string;
  readonly created_at: string;
  readonly updated_at: string;
}

/** Writes one file; pieces are to be joined as they come. */
export interface FormatWriter {
  begin(): string;
  write(tasks: readonly WrittenTask[]): string;
  end(): string;
}

/** Arbitrary, and never to change: with it the same file gives the same ids. */
const NAMESPACE = '6f0f1d3e-5d0a-4c53-9f0e-2b6f6f1f3a51';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** @returns `text` in lower case if it is a UUID. */
export const uuidIn = (text: unknown): string | null =>
  typeof text === 'string' && UUID.test(text) ? text.toLowerCase() : null;

/** The id of a task that a format knows by `uid`: that itself if it is a UUID, else UUIDv5 (RFC 9562) of both. */
export const idFromUid = (format: string, uid: string): string => uuidIn(uid) ?? uuidv5(`${format}\n${uid}`, NAMESPACE);

/** The id of the list named `name`, where one has to be made. */
export const idOfList = (name: string): string => uuidv5(`list\n${name}`, NAMESPACE);

/**
 * Ids of tasks that a format has none for: UUIDv5 of their content, and of how many with the same content came before.
 * A file to which lines were added, or whose lines were moved, gives the same ids for the others.
 */
export class ContentIds {
  readonly #format: string;
  readonly #seen = new Map<string, number>();

  constructor(format: string) {
    this.#format = format;
  }

  next(...content: readonly (string | null)[]): string {
    const id = uuidv5(JSON.stringify([this.#format, ...content]), NAMESPACE);
    const before = this.#seen.get(id) ?? 0;
    this.#seen.set(id, before + 1);
    return before === 0 ? id : uuidv5(String(before), id);
  }
}

const ZONE_NAME = /^[A-Za-z][\w+-]*(?:\/[\w+-]+)*$/;
/** Whether names are zones, of those that were asked for last: it takes long to ask the runtime. */
const zones = new RecentMap<string, boolean>(1_000);

function isKnownZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Whether the runtime knows `name` as an IANA time zone. */
export function isTimeZone(name: string): boolean {
  if (!ZONE_NAME.test(name)) return false;
  const known = zones.get(name) ?? isKnownZone(name);
  zones.set(name, known);
  return known;
}

/** `tags` without repetitions, ignoring case. */
export function distinctTags(tags: readonly string[]): string[] {
  const byKey = new Map<string, string>();
  for (const tag of tags.map((one) => one.trim()).filter((one) => one !== '')) {
    const key = tagKey(tag);
    if (!byKey.has(key)) byKey.set(key, tag);
  }
  return [...byKey.values()];
}
