import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { signToken } from '../../test/support/service.ts';
import type { Client } from './client.ts';
import type { Findings } from './drill.ts';
import type { Audit, Ledger } from './ledger.ts';
import { steadily } from './steadily.ts';
import { Tally } from './tally.ts';

const WRITES_PER_SECOND = 100;
const READS_PER_SECOND = 50;
const HEALTH_PER_SECOND = 10;
/** 10.5 s, and what a busy machine adds. */
const LATEST_MS = 11_000;
const HEALTH_LATEST_MS = 1_000;

/** What came of one spell of traffic. */
export interface Spell {
  readonly writes: Tally;
  readonly reads: Tally;
  readonly health: Tally;
}

/** Writes, reads and questions for /health, side by side, at a service that is in trouble. */
export class Traffic {
  readonly #client: Client;
  readonly #ledger: Ledger;
  readonly #token: string;
  readonly #id: string;

  private constructor(client: Client, ledger: Ledger, token: string, id: string) {
    this.#client = client;
    this.#ledger = ledger;
    this.#token = token;
    this.#id = id;
  }

  /** @param ledger keeps what is written. @throws when the service at `origin` takes no task, to be read afterwards. */
  static async prepare(client: Client, ledger: Ledger, origin: string): Promise<Traffic> {
    const token = await signToken(`reader_${randomUUID()}`);
    const made = await client.ask(`${origin}/api/tasks`, { method: 'POST', token, body: { title: 'to be read' } });
    if (made.status !== 201) throw new Error(`the first write was answered ${made.status}: ${made.body}`);
    return new Traffic(client, ledger, token, (JSON.parse(made.body) as { id: string }).id);
  }

  /** Keeps asking for `seconds`; what came of it is there when every answer is. */
  async run(origin: () => string, seconds: number, signal?: AbortSignal): Promise<Spell> {
    const spell = { writes: new Tally(), reads: new Tally(), health: new Tally() };
    const note = async (tally: Tally, path: string) =>
      tally.note(await this.#client.ask(`${origin()}${path}`, { token: this.#token }));
    const write = async () => spell.writes.note(await this.#ledger.write(origin()));
    await Promise.all([
      steadily({ perSecond: WRITES_PER_SECOND, seconds, signal }, write),
      steadily({ perSecond: READS_PER_SECOND, seconds, signal }, () => note(spell.reads, `/api/tasks/${this.#id}`)),
      steadily({ perSecond: HEALTH_PER_SECOND, seconds, signal }, () => note(spell.health, '/health')),
    ]);
    return spell;
  }

  /** Writes and reads until both succeed. @returns after how many milliseconds they did, or null when not `withinMs`. */
  async untilWhole(origin: () => string, withinMs: number): Promise<number | null> {
    const from = performance.now();
    while (performance.now() - from < withinMs) {
      const [write, read] = await Promise.all([
        this.#ledger.write(origin()),
        this.#client.ask(`${origin()}/api/tasks/${this.#id}`, { token: this.#token }),
      ]);
      if (write.status === 201 && read.status === 200) return Math.round(performance.now() - from);
      await delay(20);
    }
    return null;
  }
}

/** What came of a spell, for people. */
export function told({ writes, reads, health }: Spell): string {
  const slowest = Math.max(writes.slowestMs(), reads.slowestMs());
  return `writes ${writes.answers()}; reads ${reads.answers()}; /health ${health.answers()}; slowest ${slowest} ms`;
}

/** What holds in any trouble: `/health` goes on, and whatever is asked is answered in time, with `allowed` statuses. */
export function expectAnswers(
  findings: Findings,
  when: string,
  { writes, reads, health }: Spell,
  allowed: { readonly writes: readonly number[]; readonly reads: readonly number[] },
): void {
  const wrong = (tally: Tally, statuses: readonly number[]) => tally.otherThan(...statuses);
  findings.expect(wrong(writes, allowed.writes) === 0, `${when}, writes were answered ${writes.answers()}`);
  findings.expect(wrong(reads, allowed.reads) === 0, `${when}, reads were answered ${reads.answers()}`);
  findings.expect(wrong(health, [200]) === 0, `${when}, /health was answered ${health.answers()}`);
  const slowest = Math.max(writes.slowestMs(), reads.slowestMs());
  findings.expect(slowest <= LATEST_MS, `${when}, an answer took ${slowest} ms`);
  findings.expect(health.p99Ms() <= HEALTH_LATEST_MS, `${when}, /health took ${health.p99Ms()} ms (p99)`);
}

/** Reads back what `ledger` wrote. @returns the figures to tell, none where nothing could be read. */
export async function expectNothingLost(
  findings: Findings,
  ledger: Ledger,
  origin: string,
): Promise<Audit | Record<string, never>> {
  try {
    const audit = await ledger.audit(origin);
    findings.expect(audit.lost === 0, `${audit.lost} acknowledged writes are gone`);
    findings.expect(audit.wrong === 0, `${audit.wrong} tasks are there that nobody wrote, or twice`);
    return audit;
  } catch (error) {
    findings.faults.push(`what was written cannot be read back: ${String(error)}`);
    return {};
  }
}
