import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LightMyRequestResponse } from 'fastify';
import { assertError } from './envelope.ts';
import type { Person, Task } from './service.ts';
import type { Change, ExpectedTask, ExpectedTasks, Fields } from './task-model.ts';

/** One user in front of the service, among others. */
export interface Seat {
  readonly person: Person;
  /** All tasks of all users so far, to trespass on. */
  readonly everyTask: Task[];
  /** Whether connections are being cut, so that an answer may be an error. */
  readonly mayFail: boolean;
  /** Called after each answer. */
  readonly onAnswer: () => Promise<void>;
}

export type UserCommand = fc.AsyncCommand<ExpectedTasks, Seat>;

const MISSING = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';

/** `unknown`: it failed, and may have happened all the same; `nothing`: it failed, and did not happen. */
type Fate = 'done' | 'missing' | 'unknown' | 'nothing';

async function ask(seat: Seat, method: string, path: string, body?: object) {
  const answer = await seat.person.send(method, `/api/tasks${path}`, body);
  await seat.onAnswer();
  return { answer, fate: fateOf(seat, answer) };
}

function fateOf({ mayFail }: Seat, answer: LightMyRequestResponse): Fate {
  const { statusCode } = answer;
  if (statusCode === 200 || statusCode === 201) return 'done';
  if (statusCode === 404) {
    assertError(answer, 404, 'NOT_FOUND', 'Task not found');
    return 'missing';
  }
  assert.ok(mayFail, `answered ${statusCode}: ${answer.body}`);
  if (statusCode === 503) {
    assertError(answer, 503, 'SERVICE_UNAVAILABLE', 'Service temporarily unavailable');
    return 'nothing';
  }
  assertError(answer, 500, 'DATABASE_ERROR', 'A database error occurred');
  return 'unknown';
}

/** A command that is always possible. */
function command(told: string, run: (expected: ExpectedTasks, seat: Seat) => Promise<void>): UserCommand {
  return { check: () => true, run, toString: () => told };
}

const create = (fields: Fields) =>
  command(`create ${JSON.stringify(fields)}`, async (expected, seat) => {
    const { answer, fate } = await ask(seat, 'POST', '', fields);
    assert.notEqual(fate, 'missing');
    if (fate === 'unknown') expected.mayBeCreated(fields);
    if (fate !== 'done') return;
    const task = answer.json<Task>();
    expected.isCreated(fields, task);
    seat.everyTask.push(task);
  });

/** Changes one of the user's tasks. */
function write(told: string, at: number, request: { method: string; path?: string; body?: object }, change: Change) {
  return command(`${told} task ${at}`, async (expected, seat) => {
    const task = expected.pick(at);
    const path = `/${task?.id ?? MISSING}${request.path ?? ''}`;
    const { answer, fate } = await ask(seat, request.method, path, request.body);
    if (task === undefined) assert.notEqual(fate, 'done');
    else if (fate === 'done') task.isChanged(change, request.method === 'DELETE' ? null : answer.json<Task>());
    else if (fate === 'missing') task.isMissed();
    else if (fate === 'unknown') task.mayBeChanged(change);
  });
}

const list = () =>
  command('list', async (expected, seat) => {
    const { answer, fate } = await ask(seat, 'GET', '');
    assert.notEqual(fate, 'missing');
    if (fate === 'done') expected.isListed(answer.json<{ tasks: Task[] }>().tasks);
  });

const get = (at: number) =>
  command(`get task ${at}`, async (expected, seat) => {
    const task: ExpectedTask | undefined = expected.pick(at);
    const { answer, fate } = await ask(seat, 'GET', `/${task?.id ?? MISSING}`);
    if (task === undefined) assert.notEqual(fate, 'done');
    else if (fate === 'done') task.isSeen(answer.json<Task>());
    else if (fate === 'missing') task.isMissed();
  });

const WAYS = [
  { method: 'GET', path: '' },
  { method: 'PUT', path: '', body: { title: 'taken' } },
  { method: 'PATCH', path: '', body: { is_completed: true } },
  { method: 'POST', path: '/toggle' },
  { method: 'DELETE', path: '' },
];

/** Tries a task that may be another user's. */
const trespass = (way: number, at: number) =>
  command(`trespass ${way} on ${at}`, async (_expected, seat) => {
    const task = seat.everyTask[at % seat.everyTask.length];
    const how = WAYS[way % WAYS.length];
    if (how === undefined || task?.user_id === seat.person.sub) return;
    const { fate } = await ask(seat, how.method, `/${task?.id ?? MISSING}${how.path}`, how.body);
    assert.notEqual(fate, 'done', 'a foreign task was reached');
  });

const at = fc.nat(1_000);
const text = fc
  .string({ minLength: 1, maxLength: 12, unit: 'grapheme' })
  .map((some) => `${some.replaceAll('\0', '')}.`.trim());
const description = fc.option(text);
const is_completed = fc.boolean();
/** Titles of new tasks are unique, to know them by where the answer was lost. */
const newTask = fc
  .record({ text, unique: fc.uuid(), description, is_completed })
  .map(({ text: said, unique, ...rest }): Fields => ({ title: `${said} ${unique}`, ...rest }));
const change = fc.record({ title: text, description, is_completed }, { requiredKeys: [] });

const update = (method: string) =>
  fc
    .record({ at, body: change.filter((body) => Object.keys(body).length > 0) })
    .map(({ at: place, body }) =>
      write(`${method} ${JSON.stringify(body)} on`, place, { method, body }, (fields) => ({ ...fields, ...body })),
    );
const toggle = (place: number) =>
  write('toggle', place, { method: 'POST', path: '/toggle' }, (fields) => ({
    ...fields,
    is_completed: !fields.is_completed,
  }));
const remove = (place: number) => write('delete', place, { method: 'DELETE' }, () => null);

/** What one user does, one thing after the other; creates and lists are the more frequent. */
export const commandsOfUser = (most: number) =>
  fc.commands(
    [
      newTask.map(create),
      newTask.map(create),
      update('PUT'),
      update('PATCH'),
      at.map(toggle),
      at.map(remove),
      at.map(get),
      fc.constant(list()),
      fc.record({ way: fc.nat(WAYS.length - 1), at }).map(({ way, at: place }) => trespass(way, place)),
    ],
    { maxCommands: most, size: 'max' },
  );
