import { AppError, type ErrorCode } from '../core/errors.ts';
import type { ChangePage, PageSize, Position } from './page.ts';
import type { WatchedUser } from './watched-user.ts';

const PASSING: readonly ErrorCode[] = ['DATABASE_ERROR', 'SERVICE_UNAVAILABLE'];
/** How long to wait after the database has failed, at least and at most. */
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 3_000;

/** Reads one user's changes page by page, and waits for further ones. */
export class Follower {
  readonly #user: WatchedUser;
  readonly #size: PageSize;
  readonly #onClose: () => void;
  #from: Position;
  /** Of the user, when the last page was read; null if it was not the last there was. */
  #wakes: number | null = null;
  #hasStarted = false;
  #isClosed = false;
  #resume: (() => void) | null = null;
  readonly #wake = () => this.#resume?.();

  /** @param onClose called once. */
  constructor(user: WatchedUser, from: Position, size: PageSize, onClose: () => void) {
    this.#user = user;
    this.#from = from;
    this.#size = size;
    this.#onClose = onClose;
    user.add(this.#wake);
  }

  /**
   * @returns the first page, empty if there are no changes; from then on a page as soon as there are changes, or when
   *   the last of several has been read. Null once closed. While the database fails, all but the first wait.
   * @throws {AppError} `CURSOR_EXPIRED`; the first as `Database.transaction` does.
   */
  async next(): Promise<ChangePage | null> {
    while (!this.#isClosed) {
      if (this.#wakes === this.#user.wakes) {
        await this.#pause();
        continue;
      }
      const page = await this.#read();
      if (page === null) continue;
      const isFirst = !this.#hasStarted;
      this.#hasStarted = true;
      if (isFirst || page.rows.length > 0) return page;
    }
    return null;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#user.remove(this.#wake);
    this.#resume?.();
    this.#onClose();
  }

  /** @returns null after an error that may pass. */
  async #read(): Promise<ChangePage | null> {
    try {
      const { page, wakes } = await this.#user.read(this.#from, this.#size);
      this.#from = page.next;
      this.#wakes = page.hasMore ? null : wakes;
      return page;
    } catch (error) {
      if (!this.#hasStarted || !(error instanceof AppError) || !PASSING.includes(error.code)) throw error;
      await this.#pause(RETRY_MIN_MS + Math.random() * (RETRY_MAX_MS - RETRY_MIN_MS));
      return null;
    }
  }

  /** Until there may be a change, it is closed, or `ms` have passed. */
  async #pause(ms?: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
      if (ms !== undefined) timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#resume = null;
  }
}
