import type { Answer } from './client.ts';

/** Counts answers. */
export class Tally {
  readonly statuses = new Map<number, number>();
  readonly tookMs: number[] = [];

  count({ status, tookMs }: Answer): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    this.tookMs.push(tookMs);
  }

  /** How many answers had a status other than these; 0 is no answer at all. */
  otherThan(...statuses: readonly number[]): number {
    let count = 0;
    for (const [status, times] of this.statuses) if (!statuses.includes(status)) count += times;
    return count;
  }

  /** The answers by status, for people: `201: 980, none: 20`. */
  answers(): string {
    return [...this.statuses]
      .sort(([a], [b]) => a - b)
      .map(([status, times]) => `${status === 0 ? 'none' : status}: ${times}`)
      .join(', ');
  }

  /** What the slowest answer took, in whole milliseconds. */
  longestMs(): number {
    return Math.round(this.tookMs.reduce((longest, ms) => Math.max(longest, ms), 0));
  }
}
