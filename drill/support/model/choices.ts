import { CHOICES, type Written } from '../../../test/support/field-rules.ts';
import type { Random } from '../random.ts';
import type { Journal } from './journal.ts';
import type { WireRequest } from './operation.ts';

/** So few that the writers of one user meet. */
const SLOTS = 12;
const RECENT = 10;
const TEXTS = [null, 'Two cartons', 'ünïcödé 🥛 with "quotes" and \\', 'x'.repeat(300)];

export const WHOLE = Object.entries(CHOICES).filter(([name]) => !name.endsWith('_tags'));
export const CHANGES = Object.entries(CHOICES).filter(([name]) => name.endsWith('_tags'));

/** @returns values of up to `count` of the fields. */
export function choosing(random: Random, fields: typeof WHOLE, count: number): Written {
  const chosen = Array.from({ length: count }, () => fields[random.below(fields.length)]);
  return Object.fromEntries(
    chosen.flatMap((field) => (field === undefined ? [] : [[field[0], field[1][random.below(field[1].length)]]])),
  );
}

/** The ids that writers of one user share: a fixed number of their own, those that the service gave last, and those listed. */
export class Ids {
  readonly #random: Random;
  readonly #own: string[];
  readonly #given: string[] = [];
  #listed: readonly string[] = [];

  constructor(random: Random) {
    this.#random = random;
    this.#own = Array.from({ length: SLOTS }, () => newId(random));
  }

  own(slot: number): string {
    return this.#own[slot % SLOTS] ?? '';
  }

  any(number: number): string {
    const all = [...this.#own, ...this.#given, ...this.#listed];
    return all[number % all.length] ?? '';
  }

  give(id: string): void {
    this.#given.push(id);
    if (this.#given.length > RECENT) this.#given.shift();
  }

  /** The ids in a list. */
  list(ids: readonly string[]): void {
    this.#listed = ids;
  }

  /** Takes another id in place of one that cannot be used again. */
  replace(id: string): void {
    const slot = this.#own.indexOf(id);
    if (slot !== -1) this.#own[slot] = newId(this.#random);
  }
}

/** A UUID of version 4. */
function newId(random: Random): string {
  const hex = Array.from({ length: 4 }, () =>
    random
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0'),
  ).join('');
  const variant = '89ab'[random.below(4)];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}

type BatchOperation = Written & { op: string; id?: string; if_version?: number };

/** Chooses requests of one writer: always the same ones for one seed, but for what they find. */
export class Choices {
  readonly #random: Random;
  readonly #user: string;
  readonly #ids: Ids;
  readonly #journal: Journal;

  constructor(random: Random, user: string, ids: Ids, journal: Journal) {
    this.#random = random;
    this.#user = user;
    this.#ids = ids;
    this.#journal = journal;
  }

  /** @param name appears in every title that the request writes, and in no other. */
  request(name: string): WireRequest {
    const kind = this.#random.below(100);
    const id = this.#ids.any(this.#random.below(1_000));
    const own = this.#ids.own(this.#random.below(SLOTS));
    const fields = this.#fields(name);
    const changes = this.#changes(name);
    const guard = this.#guard(id);
    const task = `/api/tasks/${id}`;
    if (kind < 14) return send('POST', '/api/tasks', { ...fields, title: name });
    if (kind < 27) return send('PUT', `/api/tasks/${own}`, { ...fields, title: name }, { 'if-none-match': '*' });
    if (kind < 45) return send(kind < 40 ? 'PATCH' : 'PUT', task, changes, guard);
    if (kind < 56) return send('POST', `${task}/toggle`, null, guard);
    if (kind < 66) return send('DELETE', task, null, guard);
    if (kind < 68) return send('DELETE', `${task}?permanent=true`, null, guard);
    if (kind < 79) return send('POST', `${task}/restore`, null, guard);
    if (kind < 95) return this.#batch(name);
    return send('GET', task);
  }

  #fields(name: string): Written {
    const choice = this.#random.below(12);
    const description = TEXTS[choice % TEXTS.length] ?? null;
    const others = choosing(this.#random, WHOLE, choice % 3);
    if (choice < 4) return { title: name };
    if (choice < 8) return { title: name, description, ...others };
    return { is_completed: choice % 2 === 0, ...others };
  }

  /** Of a task that is there: also what is to be added and removed. */
  #changes(name: string): Written {
    const choice = this.#random.below(4);
    return choice === 0 ? { title: name, ...choosing(this.#random, CHANGES, 2) } : this.#fields(name);
  }

  /** A version: mostly the one seen last, at times one before it. */
  #version(id: string): number {
    const newest = this.#journal.versionsOf(this.#user).get(id) ?? 1;
    const choice = this.#random.below(10);
    return choice < 7 ? newest : Math.max(1, newest - choice + 6);
  }

  #guard(id: string): Record<string, string> {
    const version = this.#version(id);
    const choice = this.#random.below(10);
    if (choice < 4) return {};
    if (choice < 8) return { 'if-match': `"${version}"` };
    return { 'if-match': ['*', `"1", W/"${version}"`][choice - 8] ?? '' };
  }

  #batch(name: string): WireRequest {
    const isAtomic = this.#random.below(3) === 0;
    const operations = Array.from({ length: 1 + this.#random.below(6) }, (_, part) =>
      this.#operation(`${name}/${part}`),
    );
    const since = Math.max(0, this.#journal.floorOf(this.#user) - this.#random.below(30));
    const isGuarded = this.#random.below(4) === 0;
    return send('POST', '/api/batch', {
      operations,
      ...(isAtomic ? { atomic: true } : {}),
      ...(isGuarded ? { if_unchanged_since: since } : {}),
    });
  }

  #operation(name: string): BatchOperation {
    const kind = this.#random.below(20);
    const id = this.#ids.any(this.#random.below(1_000));
    const own = this.#ids.own(this.#random.below(SLOTS));
    const { position: _, ...fields } = this.#fields(name);
    const changes = this.#changes(name);
    const version = this.#version(id);
    const guard = this.#random.below(2) === 0 ? {} : { if_version: version };
    if (kind < 4) return { op: 'create', ...fields, title: name };
    if (kind < 7) return { op: 'create', id: own, ...fields, title: name };
    if (kind < 9) return { op: 'put', id: own, ...fields, title: name, ...(kind === 7 ? {} : { if_version: 0 }) };
    if (kind < 13) return { op: 'update', id, ...changes, ...guard };
    if (kind < 15) return { op: 'toggle', id, ...guard };
    if (kind < 17) return { op: 'delete', id, ...guard };
    if (kind < 19) return { op: 'restore', id, ...guard };
    return { op: 'tickle', id };
  }
}

const send = (
  method: string,
  path: string,
  body: object | null = null,
  headers: Readonly<Record<string, string>> = {},
): WireRequest => ({ method, path, headers, body: body === null ? null : JSON.stringify(body) });
