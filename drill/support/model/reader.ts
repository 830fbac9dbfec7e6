import { setTimeout as delay } from 'node:timers/promises';
import { parseCursor } from '../../../dist/changes/cursor.js';
import type { Change, Changes } from '../../../test/support/changes.ts';
import { EventClient } from '../../../test/support/event-client.ts';
import type { Checks } from '../checks.ts';
import type { Client } from '../client.ts';
import type { Random } from '../random.ts';
import type { Journal } from './journal.ts';

/** What a mirror was told at once. */
export interface Told {
  readonly how: string;
  /** Null where it goes on; else the counter at which its first copy began. */
  readonly base: number | null;
  readonly changes: readonly Change[];
  /** Everything up to here has been told. */
  readonly position: number;
  /** Whether the copy is as the tasks are at `position`. */
  readonly isComplete: boolean;
  /** The highest version that was known when it was asked for, if the answer has to have it. */
  readonly floor: number;
}

interface ReaderOptions {
  readonly name: string;
  readonly user: string;
  readonly random: Random;
  readonly client: Client;
  readonly origin: string;
  readonly journal: Journal;
  readonly checks: Checks;
}

const LEGS = ['pages', 'pages', 'since', 'wait', 'wait', 'stream', 'stream', 'stream', 'stream', 'again'] as const;
const LIMITS = [1, 2, 3, 7, 50, 1_000];
const CATCH_UP_MS = 20_000;

/** A mirror that follows in all ways, each cut at random and resumed by another. */
export class Reader {
  readonly told: Told[] = [];
  readonly legs = new Map<string, number>();
  readonly #options: ReaderOptions;
  #cursor: string | null = null;
  #epoch: string | null = null;
  #position = 0;
  #isComplete = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get user(): string {
    return this.#options.user;
  }

  /** Resolves once `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { random } = this.#options;
    while (!signal.aborted) {
      const leg = LEGS[random.below(LEGS.length)] ?? 'pages';
      const cut = AbortSignal.any([signal, AbortSignal.timeout(50 + random.below(1_500))]);
      await this.#leg(leg, cut);
      await delay(random.below(200));
    }
  }

  /** Reads on until version `counter` has been told, by a stream and then by pages. */
  async finish(counter: number): Promise<void> {
    const signal = AbortSignal.timeout(CATCH_UP_MS);
    while (this.#position < counter && !signal.aborted) await this.#stream(signal, counter);
    do await this.#pages(1_000, signal);
    while (!this.#isComplete && !signal.aborted);
    this.#options.checks.expect(this.#position === counter, `${this.name} is at ${this.#position} of ${counter}`);
  }

  async #leg(leg: (typeof LEGS)[number], cut: AbortSignal): Promise<void> {
    this.legs.set(leg, (this.legs.get(leg) ?? 0) + 1);
    const { random } = this.#options;
    const limit = LIMITS[random.below(LIMITS.length)] ?? 1;
    if (leg === 'again') {
      this.#cursor = null;
      this.#isComplete = false;
      await this.#pages(limit, cut);
    } else if (leg === 'since' && this.#isComplete) {
      await this.#page('since', { since: this.#position, epoch: this.#epoch ?? '', limit }, cut);
    } else if (leg === 'wait' && this.#cursor !== null) {
      while (!cut.aborted) await this.#page('wait', { cursor: this.#cursor, wait: 1 + random.below(3), limit }, cut);
    } else if (leg === 'stream') await this.#stream(cut, Number.POSITIVE_INFINITY);
    else await this.#pages(limit, cut);
  }

  async #pages(limit: number, cut: AbortSignal): Promise<void> {
    do await this.#page('pages', { limit, ...(this.#cursor === null ? {} : { cursor: this.#cursor }) }, cut);
    while (!this.#isComplete && !cut.aborted);
  }

  async #page(how: string, query: Readonly<Record<string, string | number>>, signal: AbortSignal): Promise<void> {
    const { client, origin, user, journal, checks, random } = this.#options;
    const parameters = Object.entries(query).map(([name, value]) => `${name}=${value}`);
    const isFirst = query.cursor === undefined && query.since === undefined;
    const floor = journal.floorOf(user);
    const { status, body } = await client.request(`${origin}/api/changes?${parameters.join('&')}`, { user, signal });
    if (status !== 200) {
      const isPassing = [0, 429, 500, 503].includes(status);
      checks.expect(isPassing, `${this.name} was answered ${status} ${body}, asking for ${parameters.join('&')}`);
      await delay(20 + random.below(100));
      return;
    }
    const { changes, cursor, version: position, has_more: hasMore }: Changes = JSON.parse(body);
    this.#take(how, isFirst, { changes, position, isComplete: !hasMore, floor: hasMore ? 0 : floor, cursor });
  }

  /** Reads a stream until the signal is aborted, it is cut, or version `end` has come. */
  async #stream(signal: AbortSignal, end: number): Promise<void> {
    const { client, origin, user, journal, checks, random } = this.#options;
    const token = (await client.authorization(user)).slice('Bearer '.length);
    const from = this.#cursor ?? undefined;
    const floor = journal.floorOf(user);
    const stream = await EventClient.open(
      origin,
      token,
      random.below(2) === 0 ? { cursor: from } : { lastId: from },
    ).catch((error: unknown) => {
      const status = /answered (\d+)/.exec(String(error))?.[1];
      const isPassing = status === undefined || ['429', '500', '503'].includes(status);
      checks.expect(isPassing, `${this.name}: ${error} with the cursor ${from}`);
      return delay(20 + random.below(100), null);
    });
    if (stream === null) return;
    const close = () => stream.close();
    if (signal.aborted) close();
    signal.addEventListener('abort', close);
    let taken = 0;
    const takeNew = () => {
      for (const { event, id, data } of stream.events.slice(taken)) {
        taken += 1;
        const isFirst = taken === 1 && from === undefined;
        if (id === null || signal.aborted) continue;
        if (event === 'change') {
          const change: Change = JSON.parse(data);
          const { version: position } = change;
          this.#take('stream', isFirst, { changes: [change], position, isComplete: false, floor: 0, cursor: id });
        } else if (event === 'synced') {
          const { version: position }: { version: number } = JSON.parse(data);
          this.#take('stream', isFirst, { changes: [], position, isComplete: true, floor, cursor: id });
        }
      }
      return this.#position >= end;
    };
    await stream.until(takeNew).catch(() => undefined);
    signal.removeEventListener('abort', close);
    close();
  }

  #take(
    how: string,
    isFirst: boolean,
    { cursor, ...told }: Omit<Told, 'how' | 'base'> & { readonly cursor: string },
  ): void {
    const { base = 0, position = 0, epoch = null } = parseCursor(cursor) ?? {};
    this.#epoch = epoch;
    this.told.push({ how, base: isFirst ? base || position : null, ...told });
    this.#cursor = cursor;
    this.#position = told.position;
    this.#options.journal.seen(this.user, told.position);
    this.#isComplete = told.isComplete;
  }
}
