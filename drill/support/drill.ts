import type { DrillRun } from './drill-run.ts';

/** Counts and times, in the order to be read. */
export type Figures = Readonly<Record<string, number | string>>;

/** A fault injected into a running service, and what must hold meanwhile and afterwards. */
export interface Drill {
  /** The argument of `npm run drill --` that selects it. */
  readonly name: string;
  /** What must hold, in one sentence. */
  readonly holds: string;
  /** A drill that runs longer has failed. */
  readonly timeoutSeconds: Readonly<Record<'short' | 'long', number>>;
  run(run: DrillRun): Promise<Figures>;
}
