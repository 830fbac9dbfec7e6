import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { RunningService } from '../test/support/process.ts';
import { Client } from './support/client.ts';
import { type Drill, Findings, quantile, type Result, type Scale } from './support/drill.ts';
import { Ledger } from './support/ledger.ts';
import { Scene, startPostgres } from './support/scene.ts';

const USERS = { short: 40, long: 400 };
const TASKS_OF_ONE = 500;
const WRITES_PER_SECOND = 50;

/** Writes a backup that nobody took, and gives the ids of the tasks in it. */
async function invent(path: string, users: number): Promise<Set<string>> {
  const ids = new Set<string>();
  const time = '2026-01-02T03:04:05.123456Z';
  const out = createWriteStream(path);
  const put = (value: object) => void out.write(`${JSON.stringify(value)}\n`);
  put({ format: 'todo-api backup', version: 1, created_at: time });
  for (let user = 0; user < users; user += 1) {
    const id = `user ${String(user).padStart(6, '0')}`;
    put({ user: { id, email: null, created_at: time } });
    for (let number = 0; number < TASKS_OF_ONE; number += 1) {
      const task = {
        id: randomUUID(),
        user_id: id,
        title: `task ${number}`,
        description: 'of the usual length '.repeat(4).trim(),
      };
      put({ task: { ...task, is_completed: number % 2 === 0, created_at: time, updated_at: time } });
      ids.add(task.id);
    }
  }
  put({ end: { users, tasks: users * TASKS_OF_ONE } });
  await new Promise<void>((resolve) => out.end(() => resolve()));
  return ids;
}

/** @returns how many of `ids` have a line in the backup at `path`. */
async function countIn(path: string, ids: ReadonlySet<string>): Promise<number> {
  let found = 0;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (ids.has(/^\{"task":\{"id":"([^"]+)"/.exec(line)?.[1] ?? '')) found += 1;
  }
  return found;
}

/** Restores and backs up beside a service that is written to, and that is killed and started again in the middle. */
async function underLoad(scene: Scene, settings: Record<string, string>, scale: Scale): Promise<Result> {
  const findings = new Findings();
  const file = join(scene.folder, 'given.ndjson');
  const taken = join(scene.folder, 'taken.ndjson');
  const ids = await invent(file, USERS[scale]);
  let service = await scene.start();
  const client = new Client();
  const ledger = new Ledger(client);
  const over = new AbortController();
  const writing = ledger.writeSteadily(() => scene.origin, WRITES_PER_SECOND, 300, over.signal);
  const run = async (args: readonly string[], meanwhile: (command: RunningService) => Promise<void>) => {
    const from = performance.now();
    const command = new RunningService(settings, scene.folder, args);
    await meanwhile(command);
    const code = await command.ended();
    findings.expect(code === 0, `${args[0]} ended with ${code}: ${command.stderr}`);
    return Math.round((performance.now() - from) / 100) / 10;
  };
  const untroubled = async () => undefined;

  const restoreSeconds = await run(['restore', file], untroubled);
  const backupSeconds = await run(['backup', taken], untroubled);
  const longest = Math.round(quantile(ledger.tookMs, 1));
  const others = ledger.otherThan(201);
  findings.expect(others === 0, `${others} requests meanwhile were not answered 201 (${ledger.answers()})`);
  const killedSeconds = await run(['restore', file, '--replace'], async (command) => {
    while (command.stderr === '') await new Promise((resolve) => setTimeout(resolve, 5));
    await service.stop('SIGKILL');
    service = await scene.start();
  });
  over.abort();
  await writing;
  await run(['backup', taken], untroubled);
  const found = await countIn(taken, ids);
  findings.expect(found === ids.size, `${ids.size - found} tasks of the backup are not there`);
  const audit = await ledger.audit(scene.origin);
  findings.expect(audit.lost === 0, `${audit.lost} acknowledged writes are gone`);
  client.close();
  const figures = {
    'tasks in the file': ids.size,
    'found again': found,
    'seconds of the restore': restoreSeconds,
    'with the service killed in the middle': killedSeconds,
    'seconds of a backup': backupSeconds,
    'writes meanwhile': ledger.sent,
    'longest of them in ms, but for the kill': longest,
    lost: audit.lost,
  };
  return { figures, faults: findings.faults };
}

const HOLDS = 'backup and restore beside a service under load, killed once meanwhile: nothing lost, no request refused';

export const backupEmbedded: Drill = {
  name: 'backup-embedded',
  holds: `${HOLDS} (embedded)`,
  within: { short: 60, long: 240 },
  run: async (scale) => {
    const scene = new Scene();
    return underLoad(scene, {}, scale).finally(() => scene.clear());
  },
};

export const backupPostgres: Drill = {
  name: 'backup-postgres',
  holds: `${HOLDS} (PostgreSQL)`,
  within: { short: 60, long: 240 },
  run: async (scale) => {
    const server = await startPostgres();
    const settings = { DATABASE_URL: server.url() };
    const scene = new Scene(settings);
    return underLoad(scene, settings, scale).finally(async () => {
      await scene.clear();
      await server.remove();
    });
  },
};
