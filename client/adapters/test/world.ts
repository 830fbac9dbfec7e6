import { randomBytes } from 'node:crypto';
import { after, before, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { TASK_FIELDS, type Task, type TaskCreate, type TodoClient } from 'todo-api/client';
import { type Device, newDevice } from '../../../test/support/mirrors.ts';
import { gate } from '../../../test/support/network.ts';
import { asAdmin, type Service, startService } from '../../../test/support/service.ts';
import { listen } from '../../../test/support/socket.ts';

const DEADLINE_MS = 30_000;

/** A service for the tests of one file. */
export function startWorld() {
  let service: Service;
  let url = '';
  before(async () => {
    service = await startService('postgres');
    url = `http://127.0.0.1:${await listen(service.app)}`;
  });
  after(() => service.close());
  const admin = (sql: string) => asAdmin(service.opened.place, sql);
  return {
    admin,
    /** A device of `user`, by default a new one. */
    device: (t: TestContext, user = `user_${randomBytes(8).toString('hex')}`): Device => newDevice(t, url, { user }),
    /** Makes of the database what a restore of an older backup does: `sql` takes back what has happened since. */
    restoreBackup: async (user: string, sql: string) => {
      await admin(sql);
      const restored = 'epoch = gen_random_uuid(), version = version + 4294967296';
      await admin(`update todo.users set ${restored} where id = '${user}'`);
    },
  };
}

/** Resolves once `holds` is true, which is looked at now and whenever `subscribe` tells of a change. @throws after 30 s. */
export async function until(holds: () => boolean, subscribe: (look: () => void) => () => void): Promise<void> {
  const { opened, open } = gate();
  const end = subscribe(() => {
    if (holds()) open();
  });
  if (holds()) open();
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not so after 30 s: ${holds}`)), DEADLINE_MS);
  });
  await Promise.race([opened, deadline]).finally(() => {
    clearTimeout(timer);
    end();
  });
}

/** Resolves once `holds` is true, of what tells nobody when it changes. @throws after 30 s. */
export const eventually = (holds: () => boolean) =>
  until(holds, (look) => {
    const timer = setInterval(look, 5);
    return () => clearInterval(timer);
  });

/** Creates `count` tasks. */
export async function createMany(client: TodoClient, count: number): Promise<void> {
  const all = Array.from({ length: count }, (_, index) => `${index + 1}`);
  for (let at = 0; at < count; at += 100) {
    await client.batch(all.slice(at, at + 100).map((title) => ({ op: 'create', title })));
  }
}

export const titlesOf = (tasks: readonly { readonly title: string }[]) => tasks.map(({ title }) => title).sort();

const LIST = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';
const PARENT = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e70';

/** Creates the list and the task in it that are meant below. */
export const createPlace = (client: TodoClient) =>
  client.batch([
    { op: 'create', type: 'list', id: LIST, name: 'Home' },
    { op: 'create', id: PARENT, title: 'parent', list_id: LIST },
  ]);

/** Of every field that users write a value that no new task has, as a user may write it, and others. */
export const WRITTEN = {
  title: ' Buy oat milk ',
  description: 'Two cartons ',
  is_completed: true,
  list_id: LIST,
  parent_id: PARENT,
  position: 'Zz',
  due_date: '2026-11-23',
  due_time: '18:30',
  due_time_zone: 'Europe/Berlin',
  priority: 'high',
  tags: [' Shopping', 'home '],
  recurrence: 'FREQ=DAILY;COUNT=1', // nothing follows when it is completed
  recurrence_from: 'completed',
} satisfies TaskCreate;
export const STORED = {
  ...WRITTEN,
  title: 'Buy oat milk',
  description: 'Two cartons',
  tags: ['Shopping', 'home'],
} satisfies TaskCreate;
export const EMPTIED = {
  title: 'x',
  description: null,
  is_completed: false,
  list_id: null,
  parent_id: null,
  position: 'a0V',
  due_date: null,
  due_time: null,
  due_time_zone: null,
  priority: 'none',
  tags: [],
  recurrence: null,
  recurrence_from: 'due',
} satisfies TaskCreate;

/** Fails for a field that has no value above. */
export const fieldsOf = (task: Partial<Task> | undefined) =>
  Object.fromEntries(TASK_FIELDS.map((name) => [name, task?.[name]]));

export const hasFields = (task: Partial<Task> | undefined, fields: object) => isDeepStrictEqual(fieldsOf(task), fields);
