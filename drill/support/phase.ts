import type { Checks } from './checks.ts';
import type { Samples } from './samples.ts';

/** Requests per second while a fault lasts. */
export const PHASE_RATES = { write: 100, read: 50, health: 10 };
/** 10.5 s, and a margin for a busy machine. */
const MAX_RESPONSE_MS = 11_000;
const MAX_HEALTH_P99_MS = 1_000;

interface Allowed {
  readonly writes: readonly number[];
  readonly reads: readonly number[];
}

/** Checks what must hold during any fault: statuses as `allowed`, response times within their limits, `/health` 200. */
export function checkPhase(checks: Checks, name: string, samples: Samples, allowed: Allowed): void {
  const [writes, reads, health] = [samples.of('write'), samples.of('read'), samples.of('health')];
  checks.expect(writes.otherThan(...allowed.writes) === 0, `${name}: writes were answered ${writes.byStatus()}`);
  checks.expect(reads.otherThan(...allowed.reads) === 0, `${name}: reads were answered ${reads.byStatus()}`);
  checks.expect(health.otherThan(200) === 0, `${name}: /health was answered ${health.byStatus()}`);
  const slowest = Math.max(writes.slowestMs(), reads.slowestMs());
  checks.expect(slowest <= MAX_RESPONSE_MS, `${name}: a response took ${slowest} ms`);
  checks.expect(health.p99Ms() <= MAX_HEALTH_P99_MS, `${name}: the p99 of /health was ${health.p99Ms()} ms`);
}

/** The samples of one phase as text. */
export function formatPhase(samples: Samples): string {
  const [writes, reads, health] = [samples.of('write'), samples.of('read'), samples.of('health')];
  const slowest = Math.max(writes.slowestMs(), reads.slowestMs());
  return `writes ${writes.byStatus()}; reads ${reads.byStatus()}; /health ${health.byStatus()}; slowest ${slowest} ms`;
}
