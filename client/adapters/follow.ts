import { type Arrival, events, type TodoClient } from 'todo-api-client';
import { hasCode } from './tasks.ts';

const MAX_PAUSE_MS = 30_000;

/** Resolves after `failures` have been waited for, exponentially, or at once when `signal` is aborted. */
export function pauseAfter(client: TodoClient, failures: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const ms = Math.min(MAX_PAUSE_MS, client.http.retryMs * 2 ** Math.min(failures, 16));
    const timer = setTimeout(done, ms * (0.5 + Math.random() / 2));
    signal.addEventListener('abort', done);
  });
}

export interface Following {
  readonly signal: AbortSignal;
  /** Makes a copy. @returns the cursor at which it ends. Asked again when that has expired. */
  readonly copy: () => Promise<string>;
  readonly take: (arrival: Arrival) => void | Promise<void>;
  /** Told of what `events` does not mend by itself, such as a rejected token, before the next attempt. */
  readonly onError: (error: unknown) => void;
}

/** Copies, and hands over what changes after that, until the signal is aborted. Goes on after every error. */
export async function follow(client: TodoClient, { signal, copy, take, onError }: Following): Promise<void> {
  let cursor: string | null = null;
  let failures = 0;
  while (!signal.aborted) {
    try {
      cursor ??= await copy();
      for await (const arrival of events(client, { cursor, signal })) {
        await take(arrival);
        cursor = arrival.cursor;
        failures = 0;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (hasCode(error, 'CURSOR_EXPIRED')) cursor = null;
      else onError(error);
      await pauseAfter(client, failures, signal);
      failures += 1;
    }
  }
}
