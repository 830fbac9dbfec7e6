import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LightMyRequestResponse } from 'fastify';
import { assertError, type Fault } from './envelope.ts';
import { CHOICES, changed, DEFAULTS, isRefused, type Written } from './field-rules.ts';
import type { Person, Task } from './service.ts';
import type { Change, ExpectedTask, ExpectedTasks, NewFields } from './task-model.ts';

/** One of several concurrent users. */
export interface Session {
  readonly person: Person;
  /** The tasks of all users so far. */
  readonly everyTask: Task[];
  /** Whether responses may be errors, because connections are being closed. */
  readonly mayFail: boolean;
  /** Called after each response. */
  readonly onAnswer: () => Promise<void>;
  /** Resolves once each write that failed has either been committed or never will be. */
  readonly settled: () => Promise<void>;
}

export type UserCommand = fc.AsyncCommand<ExpectedTasks, Session>;

const MISSING = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';

/** `unknown`: it failed, and may have been committed; `not-done`: it failed, and was not. */
type Outcome = 'done' | 'missing' | 'refused' | 'unknown' | 'not-done';

async function ask(session: Session, method: string, path: string, body?: object) {
  const answer = await session.person.send(method, `/api/tasks${path}`, body);
  await session.onAnswer();
  const outcome = outcomeOf(session, answer);
  if (outcome === 'unknown') await session.settled();
  return { answer, outcome };
}

function outcomeOf({ mayFail }: Session, answer: LightMyRequestResponse): Outcome {
  const { statusCode } = answer;
  if (statusCode === 200 || statusCode === 201) return 'done';
  if (statusCode === 404) {
    assertError(answer, 404, 'NOT_FOUND', 'Task not found');
    return 'missing';
  }
  if (statusCode === 400) {
    const { details } = answer.json<{ details: Fault[] }>();
    assertError(answer, 400, 'VALIDATION_ERROR', 'Validation failed', details);
    assert.ok(
      details.every(({ field }) => /^(due_|add_tags$)/.test(field)),
      answer.body,
    );
    return 'refused';
  }
  assert.ok(mayFail, `answered ${statusCode}: ${answer.body}`);
  if (statusCode === 503) {
    assertError(answer, 503, 'SERVICE_UNAVAILABLE', 'Service temporarily unavailable');
    return 'not-done';
  }
  assertError(answer, 500, 'DATABASE_ERROR', 'A database error occurred');
  return 'unknown';
}

/** A command without a precondition. */
function command(description: string, run: (expected: ExpectedTasks, session: Session) => Promise<void>): UserCommand {
  return { check: () => true, run, toString: () => description };
}

const create = (written: Partial<NewFields>) =>
  command(`create ${JSON.stringify(written)}`, async (expected, session) => {
    const fields: NewFields = { ...DEFAULTS, ...written };
    const { answer, outcome } = await ask(session, 'POST', '', written);
    assert.notEqual(outcome, 'missing');
    if (outcome === 'done' || outcome === 'refused') assert.equal(outcome === 'refused', isRefused(fields));
    if (outcome === 'unknown') expected.mayBeCreated(fields);
    if (outcome !== 'done') return;
    const task = answer.json<Task>();
    expected.isCreated(fields, task);
    session.everyTask.push(task);
  });

/** Changes one of the user's tasks. */
function write(name: string, at: number, request: { method: string; path?: string; body?: object }, change: Change) {
  return command(`${name} task ${at}`, async (expected, session) => {
    const task = expected.pick(at);
    const path = `/${task?.id ?? MISSING}${request.path ?? ''}`;
    const { answer, outcome } = await ask(session, request.method, path, request.body);
    if (task === undefined) assert.notEqual(outcome, 'done');
    else if (outcome === 'done') task.isChanged(change, request.method === 'DELETE' ? null : answer.json<Task>());
    else if (outcome === 'missing') task.isMissed();
    else if (outcome === 'refused') task.isRefused(change);
    else if (outcome === 'unknown') task.mayBeChanged(change);
  });
}

const list = () =>
  command('list', async (expected, session) => {
    const { answer, outcome } = await ask(session, 'GET', '');
    assert.notEqual(outcome, 'missing');
    if (outcome === 'done') expected.isListed(answer.json<{ tasks: Task[] }>().tasks);
  });

const get = (at: number) =>
  command(`get task ${at}`, async (expected, session) => {
    const task: ExpectedTask | undefined = expected.pick(at);
    const { answer, outcome } = await ask(session, 'GET', `/${task?.id ?? MISSING}`);
    if (task === undefined) assert.notEqual(outcome, 'done');
    else if (outcome === 'done') task.isSeen(answer.json<Task>());
    else if (outcome === 'missing') task.isMissed();
  });

const ATTEMPTS = [
  { method: 'GET', path: '' },
  { method: 'PUT', path: '', body: { title: 'taken' } },
  { method: 'PATCH', path: '', body: { is_completed: true } },
  { method: 'POST', path: '/toggle' },
  { method: 'POST', path: '/restore' },
  { method: 'DELETE', path: '' },
  { method: 'DELETE', path: '?permanent=true' },
];

/** Requests a task that may be another user's. */
const accessForeign = (attempt: number, at: number) =>
  command(`foreign access ${attempt} on ${at}`, async (_expected, session) => {
    const task = session.everyTask[at % session.everyTask.length];
    const how = ATTEMPTS[attempt % ATTEMPTS.length];
    if (how === undefined || task?.user_id === session.person.sub) return;
    const { outcome } = await ask(session, how.method, `/${task?.id ?? MISSING}${how.path}`, how.body);
    assert.notEqual(outcome, 'done', 'a request for a foreign task succeeded');
  });

const at = fc.nat(1_000);
const text = fc
  .string({ minLength: 1, maxLength: 12, unit: 'grapheme' })
  .map((some) => `${some.replaceAll('\0', '')}.`.trim());
const description = fc.option(text);
const oneOf = <Value>(values: readonly Value[]) => fc.constantFrom(...values);
const { add_tags, remove_tags, ...VALUES } = CHOICES;
const others = Object.fromEntries(Object.entries(VALUES).map(([name, values]) => [name, oneOf<unknown>(values)]));
/** Any of the fields but the title. */
const rest: fc.Arbitrary<Written> = fc.record({ description, ...others }, { requiredKeys: [] });
/** Titles of new tasks are unique, to find those whose response was lost. */
const newTask = fc
  .record({ text, unique: fc.uuid(), rest: fc.oneof(fc.constant({}), rest) })
  .map(({ text: words, unique, rest: fields }) => ({ ...fields, title: `${words} ${unique}` }));
const few = fc.subarray(['title', 'description', ...Object.keys(VALUES)], { minLength: 1, maxLength: 3 });
const whole: fc.Arbitrary<Written> = fc
  .record({ names: few, values: fc.record({ title: text, description, ...others }) })
  .map(({ names, values }) => Object.fromEntries(names.map((name) => [name, Reflect.get(values, name)])));
const retagging: fc.Arbitrary<Written> = fc
  .record({ title: text, add_tags: oneOf(add_tags), remove_tags: oneOf(remove_tags) }, { requiredKeys: [] })
  .filter((body) => Object.keys(body).length > 0);

const update = (method: string) =>
  fc.record({ at, body: fc.oneof({ weight: 3, arbitrary: whole }, retagging) }).map(({ at: place, body }) =>
    write(`${method} ${JSON.stringify(body)} on`, place, { method, body }, (fields) => {
      const after = changed(fields, body);
      return isRefused(after) ? 'refused' : after;
    }),
  );
const toggle = (place: number) =>
  write('toggle', place, { method: 'POST', path: '/toggle' }, (fields) => ({
    ...fields,
    is_completed: !fields.is_completed,
  }));
const remove = (place: number) => write('delete', place, { method: 'DELETE' }, () => null);

/** The commands of one user; creates and lists are more frequent than others. */
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
      fc
        .record({ attempt: fc.nat(ATTEMPTS.length - 1), at })
        .map(({ attempt, at: place }) => accessForeign(attempt, place)),
    ],
    { maxCommands: most, size: 'max' },
  );
