import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { UserId } from '../../dist/core/user.js';
import type { Database } from '../../dist/database/database.js';
import type { BoundStatement } from '../../dist/database/sql.js';
import { everyStatement, type Subjects, statementNames } from './every-statement.ts';
import { createList } from './lists.ts';
import type { Person, Service } from './service.ts';
import { baseName, runAs, statement } from './statements.ts';

/** A text that is in everything that the victim has. */
export const SECRET = 'secret-of-the-victim';
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z/g;

/** A user with a task, a deleted one, a list, and a kept reply, who is not to notice what others do. */
export interface Victim extends Subjects {
  readonly person: Person;
}

export async function createVictim(service: Service): Promise<Victim> {
  const person = await service.person(undefined, { email: `${SECRET}@example.com` });
  const { id: live } = await person.create(SECRET, { description: SECRET, tags: ['secret'] });
  const { id: deleted } = await person.create(SECRET, { description: SECRET });
  const key = randomUUID();
  await person.send('POST', `/api/tasks/${live}/toggle`, undefined, { 'idempotency-key': key });
  await person.send('DELETE', `/api/tasks/${deleted}`);
  const { id: list } = await createList(person, SECRET);
  return { person, live, deleted, list, key };
}

/** Selects all rows of the user `$1`, as JSON. */
export const ALL_ROWS = `
  select row_to_json(users)::text from todo.users where id = $1
  union all (select row_to_json(tasks)::text from todo.tasks where user_id = $1 order by id)
  union all (select row_to_json(task_words)::text from todo.task_words where user_id = $1 order by task_id, word)
  union all (select row_to_json(lists)::text from todo.lists where user_id = $1 order by id)
  union all (select row_to_json(replies)::text from todo.replies where user_id = $1 order by key, part)`;

/** All rows of the victim, as they see them. */
export async function rowsOf(database: Pick<Database, 'transaction'>, { person }: Victim): Promise<string> {
  const rows = JSON.stringify(await runAs(database, person.sub, ALL_ROWS, [person.sub]));
  assert.equal(rows.split(SECRET).length - 1, 8, 'of email, titles, descriptions and a name, and the kept reply');
  return rows;
}

/** What an attacker, a new user, gets for the statement, without ids and times: its rows, or the error. */
export async function answerTo(
  database: Pick<Database, 'transaction'>,
  attacker: UserId,
  bound: BoundStatement,
): Promise<string> {
  const create = statement('insert into todo.users (id) values ($1)', [attacker]);
  const answer = await database.transaction({ kind: 'user', userId: attacker }, [create, bound]).then(
    (results) => results.at(-1),
    (error: Error) => ({ ...error, message: error.message, cause: String(error.cause) }),
  );
  return withoutChance(JSON.stringify(answer), attacker);
}

/** An answer without ids and times. */
export const withoutChance = (answer: string, attacker: string): string =>
  answer.replaceAll(attacker, 'SELF').replace(UUID, 'ID').replace(TIME, 'TIME');

/** The statement with every condition on the owner removed. */
export function withoutOwner(bound: BoundStatement, owner: string): BoundStatement {
  const place = bound.values.indexOf(owner) + 1;
  const condition = new RegExp(`\\b(?:\\w+\\.)?(?:user_)?id = \\$${place}(?!\\d)`, 'g');
  const text = bound.statement.text.replace(condition, () => `$${place}::text is not null`);
  return statement(text, bound.values, bound.statement.access);
}

/** One statement, and how an attacker runs it. */
export interface Attempt {
  readonly name: string;
  readonly attacker: UserId;
  /** The statement of the attacker, on what is the victim's. */
  readonly own: BoundStatement;
  /** Another user, and the same statement of theirs on what nobody has. */
  readonly bystander: UserId;
  readonly ofNobody: BoundStatement;
  /** The statement of the victim. */
  readonly asVictim: BoundStatement;
}

/** An attempt for every statement that requests run, each by an attacker of its own. */
export function attemptsOn(victim: Victim): readonly Attempt[] {
  const nobody: Subjects = {
    live: randomUUID(),
    deleted: randomUUID(),
    list: randomUUID(),
    key: randomUUID(),
  };
  const attempts = everyStatement(victim.person.sub as UserId, victim).map((asVictim, index): Attempt => {
    const [attacker, bystander] = [`attacker-${randomUUID()}` as UserId, `bystander-${randomUUID()}` as UserId];
    const [own, ofNobody] = [everyStatement(attacker, victim)[index], everyStatement(bystander, nobody)[index]];
    if (own === undefined || ofNobody === undefined) throw new Error('everyStatement is not the same each time');
    return { name: baseName(asVictim.statement), attacker, own, bystander, ofNobody, asVictim };
  });
  const names = attempts.map(({ name }) => name);
  assert.deepEqual(
    [...new Set(names)].sort(),
    statementNames().sort(),
    'test/support/every-statement.ts has every statement of src',
  );
  return attempts;
}

/** Asserts that an answer has nothing of the victim's. */
export function assertNothingShown(answer: string, { person }: Victim, name: string): void {
  assert.ok(!answer.includes(SECRET) && !answer.includes(person.sub), `${name} shows what is another's: ${answer}`);
}
