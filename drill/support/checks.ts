/** Collects the failed expectations of a drill. */
export class Checks {
  readonly failures: string[] = [];

  /** Records `failure`, one sentence, unless `holds`. */
  expect(holds: boolean, failure: string): void {
    if (!holds) this.failures.push(failure);
  }
}
