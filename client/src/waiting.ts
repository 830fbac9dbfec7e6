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

/** How long to wait before attempt `failures + 1`: exponential, at most `maxMs`, with full jitter above a half. */
export function backoff(failures: number, maxMs: number): number {
  const ms = Math.min(maxMs, 250 * 2 ** Math.min(failures, 16));
  return ms / 2 + (Math.random() * ms) / 2;
}

/** A controller that is aborted with `signal` as well; `release` must be called at the end. */
export function linked(signal: AbortSignal | undefined): { controller: AbortController; release: () => void } {
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort);
  return { controller, release: () => signal?.removeEventListener('abort', abort) };
}
