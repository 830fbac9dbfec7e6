/** Median, minimum and maximum. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @returns null if there are no values. */
export function spreadOf(values: readonly number[]): Spread | null {
  const sorted = [...values].sort((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) return null;
  const upper = sorted[Math.floor(sorted.length / 2)] ?? max;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? min;
  return { median: (lower + upper) / 2, min, max };
}

/** The median of the values that are not null; null if there are none. */
export function medianOf(values: readonly (number | null)[]): number | null {
  return spreadOf(values.filter((value) => value !== null))?.median ?? null;
}

/** `ours` ÷ `theirs`: the ratio of the medians, and the minimum and maximum ratio of two rounds side by side. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Spread | null {
  const top = spreadOf(ours);
  const bottom = spreadOf(theirs);
  const pairs = spreadOf(ours.flatMap((value, round) => (theirs[round] ? [value / theirs[round]] : [])));
  if (top === null || bottom === null || pairs === null) return null;
  return { ...pairs, median: top.median / bottom.median };
}
