import { chmodSync, lstatSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openEmbedded } from '../dist/database/embedded/embedded.js';
import { temporaryFolder } from '../test/support/process.ts';
import { type Person, type Service, startService, type Task } from '../test/support/service.ts';
import { runAs } from '../test/support/statements.ts';
import type { Drill, Figures } from './support/drill.ts';
import type { DrillRun } from './support/drill-run.ts';
import { MirroredFolder } from './support/mirrored-folder.ts';
import { Random } from './support/random.ts';

const USERS = ['ann', 'bob', 'cid'];
const TASKS_PER_USER = 120;
const SEED = 20_261_121;
/** How many damages the short form tries, chosen by the seed: of the important files, and of all. */
const SAMPLE = { important: 24, any: 16 };
const TRIAL_TIMEOUT_MS = 120_000;
/** Databases that initdb makes and the service never opens: each of their files is damaged in one way, not in all. */
const UNUSED = /^database\/base\/[14]\//;
/** The short form damages these more often. */
const RELATIONS = [
  ...[
    'todo.tasks',
    'todo.tasks_pkey',
    'todo.tasks_newest_first',
    'todo.tasks_newest_deletion',
    'todo.tasks_by_version',
  ],
  ...['todo.users', 'todo.users_pkey', 'todo.replies', 'todo.replies_pkey'],
];
const IMPORTANT = ['database/PG_VERSION', 'database/global/pg_control', 'database/pg_xact/0000', 'database.made'];

const REFUSED = /are damaged: restore a backup|has lost its database|may not be read and written/;

interface Victim {
  readonly directory: string;
  readonly name: string;
  /** Another file, for a swap. */
  readonly other: string;
}

/** root may read and write whatever the mode. */
const IS_ROOT = process.getuid?.() === 0;

/** What is done to a file. */
const DAMAGES: Readonly<Record<string, (victim: Victim) => void>> = {
  removed: ({ directory, name }) => rmSync(join(directory, name), { recursive: true }),
  emptied: ({ directory, name }) => truncateSync(join(directory, name), 0),
  halved: ({ directory, name }) => {
    const path = join(directory, name);
    truncateSync(path, Math.floor(lstatSync(path).size / 2));
  },
  overwritten: ({ directory, name }) => {
    const path = join(directory, name);
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.length === 0 ? 'damage' : bytes.fill('damage', 0, Math.ceil(bytes.length / 2)));
  },
  swapped: ({ directory, name, other }) => {
    const [bytes, others] = [readFileSync(join(directory, name)), readFileSync(join(directory, other))];
    writeFileSync(join(directory, name), others);
    writeFileSync(join(directory, other), bytes);
  },
  ...(IS_ROOT
    ? {}
    : {
        'made unreadable': ({ directory, name }: Victim) => chmodSync(join(directory, name), 0o000),
        'made read-only': ({ directory, name }: Victim) => chmodSync(join(directory, name), 0o400),
      }),
};

interface Trial extends Omit<Victim, 'directory'> {
  readonly how: string;
}

/** Fills a new directory. @returns each user's tasks, and the files of `RELATIONS`. */
async function fill(directory: string): Promise<{ tasks: Map<string, Task[]>; files: string[] }> {
  const service = await serve(directory, () => undefined);
  const tasks = new Map<string, Task[]>();
  const random = new Random(SEED);
  const text = (length: number) => Array.from({ length }, () => random.below(36).toString(36)).join('');
  for (const user of USERS) {
    const person = await service.person(user);
    for (let number = 0; number < TASKS_PER_USER; number += 1) {
      const { id } = await person.create(text(40), number % 10 === 0 ? { description: text(2_000) } : {});
      const key = { 'idempotency-key': id };
      if (number % 3 === 0) await person.send('POST', `/api/tasks/${id}/toggle`, undefined, key);
      if (number % 7 === 0) await person.send('DELETE', `/api/tasks/${id}`);
    }
    tasks.set(user, await person.list());
  }
  const { database } = service.opened;
  const files: string[] = [];
  for (const relation of RELATIONS) {
    const [[path] = []] = await runAs(database, 'ann', `select pg_relation_filepath('${relation}')`);
    files.push(`database/${path}`);
  }
  const toast = "select pg_relation_filepath(reltoastrelid::regclass) from pg_class where oid = 'todo.tasks'::regclass";
  const [[path] = []] = await runAs(database, 'ann', toast);
  files.push(`database/${path}`);
  await service.close();
  return { tasks, files };
}

async function serve(directory: string, onFatal: (error: Error) => void): Promise<Service> {
  const warnings: string[] = [];
  const onWarning = (message: string) => void warnings.push(message);
  const database = await openEmbedded({ directory, onWarning, onFatal });
  const remove = () => database.close();
  return startService({ database, place: directory, warnings, analyze: async () => undefined, remove });
}

/** @returns what is not as it was; null if everything is. */
async function difference(service: Service, tasks: ReadonlyMap<string, readonly Task[]>): Promise<string | null> {
  const expect = async (person: Person, method: string, path: string, status: number, body?: object) => {
    const answer = await person.send(method, path, body);
    return answer.statusCode === status
      ? null
      : `${method} ${path} ${answer.statusCode} ${service.log.text.slice(-300)}`;
  };
  for (const [user, expected] of tasks) {
    const person = await service.person(user);
    const answer = await person.send('GET', '/api/tasks');
    if (answer.statusCode !== 200) return `list: ${answer.statusCode} ${service.log.text.slice(-300)}`;
    const listed = answer.json<{ tasks: Task[] }>().tasks;
    if (JSON.stringify(listed) !== JSON.stringify(expected))
      return `${listed.length} of ${expected.length} tasks listed`;
    const fault =
      (await expect(person, 'GET', `/api/tasks/${expected.at(-1)?.id}`, 200)) ??
      (await expect(person, 'POST', '/api/tasks', 201, { title: 'new' }));
    if (fault !== null) return fault;
    const [created] = await person.list();
    const rest =
      (await expect(person, 'PUT', `/api/tasks/${created?.id}`, 200, { title: 'changed' })) ??
      (await expect(person, 'DELETE', `/api/tasks/${created?.id}`, 200));
    if (rest !== null) return rest;
    if (JSON.stringify(await person.list()) !== JSON.stringify(expected)) return 'other tasks after a write';
  }
  return null;
}

/** @returns 'whole', 'refused' with the sentence, or what is wrong. */
async function open(directory: string, tasks: ReadonlyMap<string, readonly Task[]>): Promise<string> {
  const fatal: Error[] = [];
  try {
    const service = await serve(directory, (error) => fatal.push(error));
    const found = await difference(service, tasks).finally(() => service.close());
    if (found === null) return 'whole';
    return fatal[0] === undefined ? `served wrong: ${found}` : judge(fatal[0]);
  } catch (error) {
    return judge(fatal[0] ?? error);
  }
}

function judge(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return REFUSED.test(message) ? 'refused' : `refused without the sentence: ${message}`;
}

/** All damages of all files, in the order of the seed. */
function trialsOf(work: MirroredFolder, random: Random): Trial[] {
  const isFile = (name: string) => lstatSync(join(work.path, name)).isFile();
  const files = work.names.filter(isFile);
  const ways = Object.keys(DAMAGES);
  const trials = work.names.flatMap((name, index) => {
    const hows = !isFile(name) ? ['removed'] : UNUSED.test(name) ? ways.slice(index % ways.length).slice(0, 1) : ways;
    return hows.map((how) => ({ name, how, other: files[random.below(files.length)] ?? name }));
  });
  return random.shuffle(trials);
}

async function damageEverything(run: DrillRun): Promise<Figures> {
  const folder = temporaryFolder();
  run.onRelease(folder.remove);
  const original = join(folder.path, 'original');
  const { tasks, files } = await fill(original);
  const work = new MirroredFolder(original, join(folder.path, 'data'));
  const all = trialsOf(work, new Random(SEED));
  const important = all.filter(({ name }) => [...IMPORTANT, ...files, 'database'].includes(name));
  const trials = run.scale === 'long' ? all : [...important.slice(0, SAMPLE.important), ...all.slice(0, SAMPLE.any)];
  const counts = { whole: 0, refused: 0, wrong: 0 };
  let slowestMs = 0;
  for (const { name, how, other } of trials) {
    DAMAGES[how]?.({ directory: work.path, name, other });
    const from = performance.now();
    const late = delay(TRIAL_TIMEOUT_MS, `neither served nor refused in ${TRIAL_TIMEOUT_MS} ms`, { ref: false });
    const outcome = await Promise.race([open(work.path, tasks), late]);
    slowestMs = Math.max(slowestMs, performance.now() - from);
    counts[outcome === 'whole' || outcome === 'refused' ? outcome : 'wrong'] += 1;
    run.expect(outcome === 'whole' || outcome === 'refused', `${name} ${how} (${other}): ${outcome}`);
    work.restore([name, other]);
  }
  run.expect((await open(work.path, tasks)) === 'whole', 'the directory is not whole after all of them');
  return {
    'files and folders': work.names.length,
    damages: trials.length,
    'served whole': counts.whole,
    'refused with the sentence': counts.refused,
    'served wrong, or refused without it': counts.wrong,
    'slowest, ms': Math.round(slowestMs),
    modes: IS_ROOT ? 'not tried as root' : 'tried',
  };
}

export const damagedFiles: Drill = {
  name: 'damaged-files',
  holds:
    'each file and folder of DATA_DIR removed, emptied, halved, overwritten or swapped: all tasks served, or refused',
  timeoutSeconds: { short: 300, long: 7_200 },
  run: damageEverything,
};
