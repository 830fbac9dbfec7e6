import type { Principal, UserId } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import type { Notifications } from '../database/notifications.ts';
import type { Rows } from '../database/sql.ts';
import { createUser, readChanges } from './change-sql.ts';
import { Follower } from './follower.ts';
import { Look, type OnWarning } from './look.ts';
import { type ChangePage, type PageSize, type Position, toPage } from './page.ts';
import { PageJson } from './page-json.ts';
import { Slots } from './slots.ts';
import { WatchedUser } from './watched-user.ts';
import { WatchedUsers } from './watched-users.ts';

/** JSON of the schema `Changes`. */
interface ChangesResult {
  readonly json: string | Buffer;
}

/** The use cases: the changes of a user's tasks, in the order of their versions, through any door. */
export interface ChangeFeed {
  /**
   * @param limit of changes in the answer, which has fewer only if there are no more.
   * @throws {AppError} `CURSOR_EXPIRED` if there is no going on from `from`, as do the others.
   */
  read(user: Principal, from: Position, limit: number): Promise<ChangesResult>;
  /** As `read`; if there is nothing, waits up to `ms` for a change, or until `onStop` calls what it is given. */
  wait(
    user: Principal,
    from: Position,
    limit: number,
    ms: number,
    onStop: (stop: () => void) => void,
  ): Promise<ChangesResult>;
  /** @returns the user's changes from now on, in pages of about 64 Ki characters; to be closed. */
  follow(user: Principal, from: Position): Follower;
  /** Makes those who wait for changes of the user, here and in other processes, look for them; to be called after each write. */
  wake(user: UserId): void;
}

/** Pages for streams are small: they wait in memory until the client has read them. */
const STREAM_PAGE: PageSize = { rows: 100, characters: 65_536 };
/** A page of an ordinary answer with more rows than this has to wait for its turn. */
const SMALL_ROWS = 100;
/** How many large pages, and how many for those who wait or follow, are read at once: each may have 2 MB. */
const MAX_LARGE_READS = 8;
const MAX_WATCHED_READS = 32;

const exactly = (limit: number): PageSize => ({ rows: limit, characters: Number.POSITIVE_INFINITY });

interface ChangeFeedOptions {
  readonly database: Database;
  readonly notifications: Notifications | null;
  readonly onWarning: OnWarning;
}

export function createChangeFeed({ database, notifications, onWarning }: ChangeFeedOptions): ChangeFeed {
  const users = new WatchedUsers();
  const look = new Look({ database, notifications, users, onWarning });
  const largeReads = new Slots(MAX_LARGE_READS);
  const watchedReads = new Slots(MAX_WATCHED_READS);
  const json = new PageJson();

  const readPage = async (userId: UserId, from: Position, size: PageSize): Promise<ChangePage> => {
    const identity = { kind: 'user', userId } as const;
    const { position, base } = from;
    const statement = readChanges({ owner: userId, position, base, limit: size.rows + 1 });
    const [found = []] = await database.transaction(identity, [statement]);
    if (found.length > 0) return toPage(from, found, size);
    const [, created = []]: readonly Rows[] = await database.transaction(identity, [
      createUser({ owner: userId }),
      statement,
    ]);
    return toPage(from, created, size);
  };

  const follow = ({ userId }: Principal, from: Position, size: PageSize): Follower => {
    const user = users.get(userId) ?? new WatchedUser((at, upTo) => watchedReads.run(() => readPage(userId, at, upTo)));
    users.add(userId, user);
    look.start();
    return new Follower(user, from, size, () => {
      if (!user.isWatched) users.delete(userId);
    });
  };

  return {
    read: async ({ userId }, from, limit) => {
      const read = () => readPage(userId, from, exactly(limit));
      return { json: await json.build(await (limit > SMALL_ROWS ? largeReads.run(read) : read())) };
    },
    wait: async (user, from, limit, ms, onStop) => {
      const follower = follow(user, from, exactly(limit));
      let timer: NodeJS.Timeout | undefined;
      try {
        let page = await follower.next();
        if (page?.rows.length === 0) {
          timer = setTimeout(() => follower.close(), ms);
          onStop(() => follower.close());
          page = (await follower.next()) ?? page;
        }
        if (page === null) throw new Error('Closed before the first read');
        return { json: await json.build(page) };
      } finally {
        clearTimeout(timer);
        follower.close();
      }
    },
    follow: (user, from) => follow(user, from, STREAM_PAGE),
    wake: (userId) => {
      users.get(userId)?.wake(null);
      notifications?.publish(userId);
    },
  };
}
