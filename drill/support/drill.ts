/** `long` is what `docs/operations.md` reports; `short` is the same in little, for the gate. */
export type Scale = 'short' | 'long';

export interface Result {
  /** What was done and found, in the order to be read: requests sent, writes acknowledged, found again, lost… */
  readonly figures: Readonly<Record<string, number | string>>;
  /** One sentence for each thing that should have held and did not; empty when the drill has passed. */
  readonly faults: readonly string[];
}

/** Something that goes wrong on purpose, in front of a real service, and what must be seen then. */
export interface Drill {
  /** What it is called on the command line. */
  readonly name: string;
  /** What must hold, in one sentence. */
  readonly holds: string;
  /** A drill that has not ended after so many seconds has failed. */
  readonly within: Readonly<Record<Scale, number>>;
  run(scale: Scale): Promise<Result>;
}

/** Gathers the faults of a drill. */
export class Findings {
  readonly faults: string[] = [];

  /** Notes `fault` unless `holds`. */
  expect(holds: boolean, fault: string): void {
    if (!holds) this.faults.push(fault);
  }
}

/** @returns the value below which `share` (0 to 1) of `values` lie, 0 where there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
