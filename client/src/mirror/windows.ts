import type { AnyErrorBody } from '../errors.ts';
import type { Status } from './leader.ts';
import type { Announcement } from './local-copy.ts';

/** What windows of a browser tell each other. */
export type Message =
  | { readonly type: 'written'; readonly announcement: Announcement }
  | {
      readonly type: 'status';
      readonly status: Status;
      readonly error: (AnyErrorBody & { readonly status: number }) | null;
    }
  | { readonly type: 'hello' }
  | { readonly type: 'retry' };

/** The windows of a browser that share a storage. Where there are none, such as in Node, messages go nowhere. */
export class Windows {
  readonly #name: string | null;
  readonly #channel: BroadcastChannel | null;

  /** @param name of the storage, or null if no other window has it. */
  constructor(name: string | null, onMessage: (message: Message) => void) {
    this.#name = name;
    this.#channel = name === null || typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(name);
    if (this.#channel !== null) this.#channel.onmessage = ({ data }: { data: Message }) => onMessage(data);
  }

  tell(message: Message): void {
    this.#channel?.postMessage(message);
  }

  /** Runs `work` once no other window does, by a Web Lock, which a window loses when it is closed. */
  async elect(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    if (this.#name === null || typeof navigator === 'undefined' || navigator.locks === undefined) return work();
    await navigator.locks.request(this.#name, { signal }, work).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  close(): void {
    this.#channel?.close();
  }
}
