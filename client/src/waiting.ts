/** Resolves after `ms`, or at once when `signal` is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}

export interface Pace {
  /** How long to wait about after the first failure. */
  readonly retryMs: number;
  readonly maxMs: number;
}

/** How long to wait after the last of `failures`: exponential with jitter, from a half of it to all. */
export function backoff(failures: number, { retryMs, maxMs }: Pace): number {
  const ms = Math.min(maxMs, retryMs * 2 ** Math.min(failures - 1, 16));
  return (ms * (1 + Math.random())) / 2;
}

/** A controller that is aborted with `signal` as well; `release` must be called at the end. */
export function linked(signal: AbortSignal | undefined): { controller: AbortController; release: () => void } {
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort);
  return { controller, release: () => signal?.removeEventListener('abort', abort) };
}
