import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Drill, Figures } from './support/drill.ts';
import type { DrillRun } from './support/drill-run.ts';
import type { ServiceUnderTest } from './support/service-under-test.ts';

const USERS = { short: 40, long: 400 };
const TASKS_PER_USER = 500;
const WRITES_PER_SECOND = 50;
const TIMEOUT_SECONDS = { short: 60, long: 240 };
const HOLDS = 'backup and restore of a service under load, killed once: nothing lost, no request refused';

/** Writes a generated backup file. @returns the ids of the tasks in it. */
async function generateBackup(path: string, users: number): Promise<Set<string>> {
  const ids = new Set<string>();
  const time = '2026-01-02T03:04:05.123456Z';
  const out = createWriteStream(path);
  const put = (value: object) => void out.write(`${JSON.stringify(value)}\n`);
  put({ format: 'todo-api backup', version: 1, created_at: time });
  for (let user = 0; user < users; user += 1) {
    const user_id = `user ${String(user).padStart(6, '0')}`;
    put({ user: { id: user_id, email: null, created_at: time } });
    for (let number = 0; number < TASKS_PER_USER; number += 1) {
      const id = randomUUID();
      const text = { title: `task ${number}`, description: 'of typical length '.repeat(4).trim() };
      const rest = { is_completed: number % 2 === 0, created_at: time, updated_at: time };
      put({ task: { id, user_id, ...text, ...rest } });
      ids.add(id);
    }
  }
  put({ end: { users, tasks: users * TASKS_PER_USER } });
  await new Promise<void>((resolve) => out.end(() => resolve()));
  return ids;
}

/** @returns how many of `ids` are in the backup at `path`. */
async function countInBackup(path: string, ids: ReadonlySet<string>): Promise<number> {
  let found = 0;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (ids.has(/^\{"task":.*?[,{]"id":"([^"]+)"/.exec(line)?.[1] ?? '')) found += 1;
  }
  return found;
}

async function backUpUnderLoad(run: DrillRun, service: ServiceUnderTest): Promise<Figures> {
  const input = join(service.directory, 'input.ndjson');
  const output = join(service.directory, 'output.ndjson');
  const ids = await generateBackup(input, USERS[run.scale]);
  await service.start();
  const load = run.load(service);
  load.start({ write: WRITES_PER_SECOND });
  /** Runs a command to its end. @returns the seconds it took. */
  const command = async (args: readonly string[], onProgress?: () => Promise<void>) => {
    const from = performance.now();
    const process = service.spawn(args);
    if (onProgress !== undefined) {
      while (process.stderr === '') await delay(5);
      await onProgress();
    }
    const code = await process.ended();
    run.expect(code === 0, `${args[0]} ended with ${code}: ${process.stderr}`);
    return Math.round((performance.now() - from) / 100) / 10;
  };

  const restoreSeconds = await command(['restore', input]);
  const backupSeconds = await command(['backup', output]);
  const beforeKill = load.samples;
  run.expect(beforeKill.otherThan(201) === 0, `writes meanwhile were answered ${beforeKill.byStatus()}`);
  const killedSeconds = await command(['restore', input, '--replace'], () => service.killAndRestart());
  await load.stop();
  await command(['backup', output]);
  const found = await countInBackup(output, ids);
  run.expect(found === ids.size, `${ids.size - found} restored tasks are missing`);
  return {
    'tasks in the file': ids.size,
    'found after restore': found,
    'restore, s': restoreSeconds,
    'restore with the service killed, s': killedSeconds,
    'backup, s': backupSeconds,
    'slowest write before the kill, ms': beforeKill.slowestMs(),
    ...(await load.verifyWrites(run)),
  };
}

export const backupEmbedded: Drill = {
  name: 'backup-embedded',
  holds: `${HOLDS} (embedded)`,
  timeoutSeconds: TIMEOUT_SECONDS,
  run: (run) => backUpUnderLoad(run, run.service()),
};

export const backupPostgres: Drill = {
  name: 'backup-postgres',
  holds: `${HOLDS} (PostgreSQL)`,
  timeoutSeconds: TIMEOUT_SECONDS,
  run: async (run) => backUpUnderLoad(run, run.service({ DATABASE_URL: (await run.postgres()).url() })),
};
