/** The middle of several values with the least and the greatest of them. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** @returns null where there are no values. */
export function spreadOf(values: readonly number[]): Spread | null {
  const sorted = [...values].sort((a, b) => a - b);
  const [least] = sorted;
  const most = sorted.at(-1);
  if (least === undefined || most === undefined) return null;
  const upper = sorted[Math.floor(sorted.length / 2)] ?? most;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? least;
  return { median: (lower + upper) / 2, least, most };
}

/** The middle of those values that are known, or null. */
export function medianOf(values: readonly (number | null)[]): number | null {
  return spreadOf(values.filter((value) => value !== null))?.median ?? null;
}

/** How often `ours` goes into `theirs`: the ratio of the medians, and the least and greatest of two rounds side by side. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Spread | null {
  const top = spreadOf(ours);
  const bottom = spreadOf(theirs);
  const pairs = spreadOf(ours.flatMap((value, round) => (theirs[round] ? [value / theirs[round]] : [])));
  if (top === null || bottom === null || pairs === null) return null;
  return { ...pairs, median: top.median / bottom.median };
}
