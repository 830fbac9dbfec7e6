import { join } from 'node:path';
import { z } from 'zod';
import type { Drill, Figures } from './support/drill.ts';
import type { DrillRun } from './support/drill-run.ts';
import { Reader } from './support/reader.ts';
import type { ServiceUnderTest } from './support/service-under-test.ts';

const READERS = { short: 10, long: 100 };
const TASKS = 30;
const TIMEOUT_SECONDS = { short: 90, long: 300 };

const Created = z.object({ id: z.string() });

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

async function create(reader: Reader, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const answer = await reader.request('POST', '/api/tasks', { title: `task ${at}` });
    ids.push(Created.parse(JSON.parse(answer.body)).id);
  }
  return ids;
}

/** Creates, changes and deletes, some of it for good. */
async function moveOn(reader: Reader, ids: readonly string[]): Promise<void> {
  await create(reader, 3);
  for (const [at, id] of ids.entries()) {
    if (at % 5 === 0) await reader.request('PUT', `/api/tasks/${id}`, { title: 'changed since' });
    if (at % 5 === 1) await reader.request('DELETE', `/api/tasks/${id}`);
    if (at % 5 === 2) await reader.request('DELETE', `/api/tasks/${id}?permanent=true`);
  }
}

async function command(run: DrillRun, service: ServiceUnderTest, ...args: string[]): Promise<void> {
  const process = service.spawn(args);
  const code = await process.ended();
  run.expect(code === 0, `${args.join(' ')} ended with ${code}: ${process.stderr}`);
}

/** Everybody reads to the end; nobody but those who had to may have started again, and every copy is exact. */
async function verify(run: DrillRun, readers: readonly Reader[], restarts: number, when: string): Promise<void> {
  for (const reader of readers) {
    const before = reader.restarts;
    await reader.readAll();
    const own = reader.restarts - before;
    run.expect(own === restarts, `${when}, ${reader.user} started again ${own} times, not ${restarts}`);
    run.expect(await reader.agrees(), `${when}, the copy of ${reader.user} is not what the service lists`);
  }
}

async function restoreOver(run: DrillRun, service: ServiceUnderTest, empty: ServiceUnderTest): Promise<Figures> {
  const file = join(service.directory, 'all.ndjson');
  await service.start();
  const client = run.client();
  const readers = Array.from({ length: READERS[run.scale] }, (_, at) => new Reader(client, service, `reader ${at}`));
  const later = new Reader(client, service, 'reader of nothing in the file');
  const ids: string[][] = [];
  for (const reader of readers) {
    ids.push(await create(reader, TASKS));
    await reader.readAll();
  }
  await command(run, service, 'backup', file);
  await create(later, TASKS);
  await Promise.all(readers.map((reader, at) => moveOn(reader, ids[at] ?? [])));
  await verify(run, [...readers, later], 0, 'before the restore');
  for (const args of [[], ['--replace']]) {
    await command(run, service, 'restore', file, ...args);
    await verify(run, readers, 1, `after restore ${args.join('')}`);
    await verify(run, [later], 0, `after restore ${args.join('')}`);
  }
  await command(run, service, 'new-epoch');
  await verify(run, [...readers, later], 1, 'after new-epoch');
  // The database is lost: another, restored from the file, knows less than the readers.
  await service.process.stop();
  await empty.start();
  await command(run, empty, 'restore', file);
  service.origin = empty.origin;
  await verify(run, readers, 1, 'after the loss of the database');
  const titles = readers.map((reader) => moveOn(reader, []));
  await Promise.all(titles);
  await verify(run, readers, 0, 'after writes to the restored database');
  return {
    readers: readers.length,
    'times they started again': sum(readers.map(({ restarts }) => restarts)),
    'changes received': sum(readers.map(({ received }) => received)),
  };
}

async function move(run: DrillRun, from: ServiceUnderTest, to: ServiceUnderTest): Promise<Figures> {
  const file = join(from.directory, 'all.ndjson');
  const client = run.client();
  await from.start();
  const service = { origin: from.origin };
  const readers = Array.from({ length: READERS[run.scale] }, (_, at) => new Reader(client, service, `reader ${at}`));
  for (const reader of readers) {
    const ids = await create(reader, TASKS);
    await reader.readAll();
    await moveOn(reader, ids);
  }
  const behind = readers.filter((_, at) => at % 3 === 0);
  for (const reader of readers) {
    if (behind.includes(reader))
      await reader.readPage(5); // in the middle of its pages
    else await reader.readAll();
  }
  const before = sum(readers.map(({ received }) => received));
  await from.process.stop();
  await command(run, from, 'backup', file);
  await command(run, to, 'restore', file, '--move');
  await to.start();
  service.origin = to.origin;
  await verify(run, readers, 0, 'after the move');
  const missed = sum(readers.map(({ received }) => received)) - before;
  await Promise.all(readers.map((reader) => moveOn(reader, [])));
  await verify(run, readers, 0, 'after writes');
  return {
    readers: readers.length,
    'behind at the move': behind.length,
    'changes received after the move': missed,
    'times they started again': sum(readers.map(({ restarts }) => restarts)),
  };
}

const RESTORE_HOLDS =
  'backups restored over a database that moved on, and in place of a lost one: each reader starts again once, and agrees';

export const restoreOverEmbedded: Drill = {
  name: 'restore-over-embedded',
  holds: `${RESTORE_HOLDS} (embedded)`,
  timeoutSeconds: TIMEOUT_SECONDS,
  run: (run) => restoreOver(run, run.service(), run.service()),
};

export const restoreOverPostgres: Drill = {
  name: 'restore-over-postgres',
  holds: `${RESTORE_HOLDS} (PostgreSQL)`,
  timeoutSeconds: TIMEOUT_SECONDS,
  run: async (run) => {
    const [first, second] = [await run.postgres(), await run.postgres()];
    return restoreOver(run, run.service({ DATABASE_URL: first.url() }), run.service({ DATABASE_URL: second.url() }));
  },
};

export const moveToPostgres: Drill = {
  name: 'move-to-postgres',
  holds: 'a move from the embedded database to PostgreSQL: every cursor stays good, also in the middle of its pages',
  timeoutSeconds: TIMEOUT_SECONDS,
  run: async (run) => move(run, run.service(), run.service({ DATABASE_URL: (await run.postgres()).url() })),
};
