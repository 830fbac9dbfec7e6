import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import {
  type Conflict,
  createClient,
  type Decision,
  type Mirror,
  memoryStorage,
  mirror,
  type OpenStorage,
} from '../../client/dist/index.js';
import { Network } from './network.ts';
import { type Service, signToken } from './service.ts';

const DEADLINE_MS = 30_000;

/** Resolves once `holds` is true, which is looked at after each change of the mirror. @throws after 30 s. */
export async function until(local: Mirror, holds: () => boolean): Promise<void> {
  if (holds()) return;
  await new Promise<void>((resolve, reject) => {
    const state = () => JSON.stringify([local.status, String(local.error), local.pending(), local.tasks().slice(0, 5)]);
    const timer = setTimeout(() => reject(new Error(`Not so after 30 s: ${state()}`)), DEADLINE_MS);
    const end = local.subscribe(() => {
      if (!holds()) return;
      clearTimeout(timer);
      end();
      resolve();
    });
  });
}

/** The mirror is connected and has nothing left to send, but for what waits for the application. */
export const settled = (local: Mirror) =>
  until(local, () => local.status === 'live' && local.pending().every(({ refusal }) => refusal !== null));

export const titles = (local: Mirror) => local.tasks().map(({ title }) => title);

/** A device of one user: a network, a storage, and what its application decides about conflicts. */
export class Device {
  readonly network = new Network();
  readonly conflicts: Conflict[] = [];
  readonly user: string;
  claims: Record<string, unknown> = {};
  signedIn: string;
  decide: (conflict: Conflict) => Decision | Promise<Decision> = () => 'theirs';
  readonly #url: string;
  readonly #context: TestContext;
  readonly #storage: OpenStorage;

  constructor(context: TestContext, url: string, user: string, storage: OpenStorage) {
    this.#context = context;
    this.#url = url;
    this.user = user;
    this.signedIn = user;
    this.#storage = storage;
  }

  client() {
    const token = () => signToken(this.signedIn, this.claims);
    return createClient({ url: this.#url, user: this.user, token, fetch: this.network.fetch, retryMs: 1 });
  }

  /** Starts the application; what it stored before is there. */
  async open(): Promise<Mirror> {
    const onConflict = (conflict: Conflict) => {
      this.conflicts.push(conflict);
      return this.decide(conflict);
    };
    const local = await mirror({ client: this.client(), storage: this.#storage, onConflict });
    this.#context.after(() => local.close());
    return local;
  }
}

/** A device of a new user, or of `user`, of the service at `url`. */
export function newDevice(
  context: TestContext,
  url: string,
  { user = `user_${randomBytes(8).toString('hex')}`, storage = memoryStorage() } = {},
): Device {
  return new Device(context, url, user, storage);
}

/** Moves the user to another epoch, as a restore of a backup does: their cursors expire. */
export async function newEpoch(service: Service, user: string, admin: (url: string, sql: string) => Promise<unknown>) {
  const sql = `update todo.users set epoch = gen_random_uuid() where id = '${user}'`;
  await admin(service.opened.place, sql);
}
