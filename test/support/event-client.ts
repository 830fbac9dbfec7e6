import { type IncomingMessage, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Change } from './changes.ts';
import type { Answered } from './envelope.ts';

export interface StreamEvent {
  readonly event: string;
  readonly id: string | null;
  readonly data: string;
}

const DEADLINE_MS = 60_000;

function parseEvent(block: string): StreamEvent {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? null;
  return { event: field('event') ?? '', id: field('id'), data: field('data') ?? '' };
}

function get(url: string | URL, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(url, { headers, agent: false }, resolve).once('error', reject).end();
  });
}

/** The answer to a GET: all of it, but of an event stream what comes up to `synced`, where the client closes it. */
export async function answerTo(url: string, headers: Readonly<Record<string, string>>): Promise<Answered> {
  const response = await get(url, headers);
  response.setEncoding('utf8');
  let body = '';
  for await (const text of response) {
    body += text;
    if (body.includes('\nevent: synced\n')) break;
  }
  return { statusCode: response.statusCode ?? 0, headers: response.headers, body };
}

/** A client of `/api/events`, which reads until it is closed. */
export class EventClient {
  readonly response: IncomingMessage;
  readonly events: StreamEvent[] = [];
  readonly comments: string[] = [];
  retry: number | null = null;
  #rest = '';
  #isEnded = false;
  #notify = () => {};

  private constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.#read(text));
    response.on('error', () => undefined);
    response.on('close', () => {
      this.#isEnded = true;
      this.#notify();
    });
  }

  /** @throws unless the answer is 200. */
  static async open(
    origin: string,
    token: string,
    { cursor, lastId }: { readonly cursor?: string | undefined; readonly lastId?: string | undefined } = {},
  ): Promise<EventClient> {
    const url = new URL('/api/events', origin);
    if (cursor !== undefined) url.searchParams.set('cursor', cursor);
    const headers = {
      authorization: `Bearer ${token}`,
      ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
    };
    const response = await get(url, headers);
    if (response.statusCode !== 200) throw new Error(`events was answered ${response.statusCode}`);
    return new EventClient(response);
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Of all `change` events. */
  get changes(): Change[] {
    return this.events.filter(({ event }) => event === 'change').map(({ data }) => JSON.parse(data) as Change);
  }

  get lastId(): string | undefined {
    return this.events.findLast(({ id }) => id !== null)?.id ?? undefined;
  }

  /** Resolves once `holds` is true. @throws after 60 s, or at the end of the stream. */
  async until(holds: (client: this) => boolean): Promise<void> {
    const deadline = performance.now() + DEADLINE_MS;
    while (!holds(this)) {
      if (this.#isEnded || performance.now() > deadline) {
        throw new Error(`The stream has not shown what was expected: ${JSON.stringify(this.events.slice(-5))}`);
      }
      await Promise.race([
        new Promise<void>((resolve) => (this.#notify = resolve)),
        delay(1_000, undefined, { ref: false }),
      ]);
    }
  }

  synced(): Promise<void> {
    return this.until(({ events }) => events.some(({ event }) => event === 'synced'));
  }

  /** Resolves at the end of the stream. @returns the data of the last event. */
  async ended(): Promise<string | undefined> {
    while (!this.#isEnded) await new Promise<void>((resolve) => (this.#notify = resolve));
    return this.events.at(-1)?.data;
  }

  close(): void {
    this.response.destroy();
  }

  #read(text: string): void {
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) {
      if (block.startsWith(':')) this.comments.push(block.slice(1).trim());
      else if (block.startsWith('retry: ')) this.retry = Number(block.slice(7));
      else this.events.push(parseEvent(block));
    }
    this.#notify();
  }
}
