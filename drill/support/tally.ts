import type { Answer } from './client.ts';
import { quantile } from './drill.ts';

/** How often each status was answered, and how long answers took. */
export class Tally {
  readonly statuses = new Map<number, number>();
  readonly tookMs: number[] = [];

  /** Counts `answer`, and gives it back. */
  note(answer: Answer): Answer {
    this.statuses.set(answer.status, (this.statuses.get(answer.status) ?? 0) + 1);
    this.tookMs.push(answer.tookMs);
    return answer;
  }

  count(status: number): number {
    return this.statuses.get(status) ?? 0;
  }

  /** How many answers had a status other than these; 0 is no answer at all. */
  otherThan(...statuses: readonly number[]): number {
    let count = 0;
    for (const [status, times] of this.statuses) if (!statuses.includes(status)) count += times;
    return count;
  }

  /** The time that the slowest answer took, in milliseconds. */
  slowestMs(): number {
    return Math.round(this.tookMs.reduce((slowest, took) => Math.max(slowest, took), 0));
  }

  /** The time that 99 of 100 answers took at most, in milliseconds. */
  p99Ms(): number {
    return Math.round(quantile(this.tookMs, 0.99));
  }

  /** The answers by status, for people: `201: 980, none: 20`. */
  answers(): string {
    return [...this.statuses]
      .sort(([a], [b]) => a - b)
      .map(([status, times]) => `${status === 0 ? 'none' : status}: ${times}`)
      .join(', ');
  }
}
