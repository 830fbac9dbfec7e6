import type { Response } from './client.ts';

export interface Sample extends Pick<Response, 'requestId' | 'status' | 'error' | 'sentAt' | 'receivedAt'> {
  readonly kind: 'read' | 'write' | 'health';
}

export const succeeded = ({ kind, status }: Sample) => status === (kind === 'write' ? 201 : 200);

/** @returns the value below which `share` (0 to 1) of `values` lie; 0 when there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Requests with the status and time of their responses. */
export class Samples {
  readonly all: readonly Sample[];

  constructor(all: readonly Sample[]) {
    this.all = all;
  }

  get count(): number {
    return this.all.length;
  }

  where(matches: (sample: Sample) => boolean): Samples {
    return new Samples(this.all.filter(matches));
  }

  of(kind: Sample['kind']): Samples {
    return this.where((sample) => sample.kind === kind);
  }

  withStatus(...statuses: readonly number[]): Samples {
    return this.where(({ status }) => statuses.includes(status));
  }

  /** Requests sent between two moments of `performance.now()`. */
  sentBetween(from: number, to: number): Samples {
    return this.where(({ sentAt }) => sentAt >= from && sentAt <= to);
  }

  /** How many had another status; no response is status 0. */
  otherThan(...statuses: readonly number[]): number {
    return this.count - this.withStatus(...statuses).count;
  }

  /** The longest response time, in milliseconds. */
  slowestMs(): number {
    return Math.round(this.all.reduce((most, { sentAt, receivedAt }) => Math.max(most, receivedAt - sentAt), 0));
  }

  /** The 99th percentile of the response times, in milliseconds. */
  p99Ms(): number {
    const times = this.all.map(({ sentAt, receivedAt }) => receivedAt - sentAt);
    return Math.round(quantile(times, 0.99) * 10) / 10;
  }

  /** How many had each status, as text: `none: 20, 201: 980`. */
  byStatus(): string {
    const counts = new Map<number, number>();
    for (const { status } of this.all) counts.set(status, (counts.get(status) ?? 0) + 1);
    return [...counts]
      .sort(([a], [b]) => a - b)
      .map(([status, count]) => `${status === 0 ? 'none' : status}: ${count}`)
      .join(', ');
  }
}
