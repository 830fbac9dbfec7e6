import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { UserId } from '../dist/core/user.js';
import type { BoundStatement } from '../dist/database/sql.js';
import { pageOf } from '../dist/tasks/list-page.js';
import { TaskListQuery } from '../dist/tasks/list-query.js';
import { type PageRead, partsOf, readPage } from '../dist/tasks/list-sql.js';
import { listDeletedTasks, listTasks } from '../dist/tasks/task-sql.js';
import { onEachDatabase } from './support/service.ts';
import { statement } from './support/statements.ts';

const OWNER = 'planner-7' as UserId;
const LIST = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';
const LIMIT = 20;

type Query = Readonly<Record<string, string>>;

function readOf(query: Query, rareWord: string | null = null): PageRead {
  const page = pageOf(TaskListQuery.parse({ limit: String(LIMIT), ...query }), Date.UTC(2026, 10, 22));
  const [part = 'with-values'] = partsOf(page);
  return { page, part, limit: LIMIT, rareWord };
}

const lastOf = (query: Query, values: readonly string[]): PageRead => {
  const read = readOf(query);
  return { ...read, page: { ...read.page, after: { values, id: LIST } } };
};

/** What the contract names as served by an index: the statement of a page, and the index. */
const SERVED: readonly (readonly [what: string, bound: BoundStatement, index: string])[] = [
  ['the default list', listTasks({ owner: OWNER, known: null }), 'tasks_newest_first'],
  ['deleted tasks', listDeletedTasks({ owner: OWNER }), 'tasks_newest_deletion'],
  ...[
    ['by creation', readOf({}), 'tasks_newest_first'] as const,
    ['by creation, behind a place', lastOf({}, ['2026-11-01T00:00:00.000000Z']), 'tasks_newest_first'] as const,
    ['by creation, oldest first', readOf({ sort: 'created_at' }), 'tasks_newest_first'] as const,
    ['a list by position', readOf({ list_id: LIST, sort: 'position' }), 'tasks_by_position'] as const,
    ['the inbox by position', readOf({ list_id: 'inbox', sort: 'position' }), 'tasks_by_position'] as const,
    [
      'the inbox by position, behind a place',
      lastOf({ list_id: 'inbox', sort: '-position' }, ['a1500']),
      'tasks_by_position',
    ] as const,
    ['open ones by creation', readOf({ is_completed: 'false' }), 'tasks_by_state'] as const,
    ['completed ones by creation', readOf({ is_completed: 'true' }), 'tasks_by_state'] as const,
    [
      'completed ones by completion',
      readOf({ is_completed: 'true', sort: '-completed_at' }),
      'tasks_by_completion',
    ] as const,
    [
      'completed in a time, by completion',
      readOf({ completed_from: '2026-11-01T00:00:00Z', sort: 'completed_at' }),
      'tasks_by_completion',
    ] as const,
    ['open ones by due date', readOf({ is_completed: 'false', sort: 'due' }), 'tasks_by_due'] as const,
    [
      'open ones by due date, behind a place',
      lastOf({ is_completed: 'false', sort: 'due' }, ['2026-11-22', '24:00']),
      'tasks_by_due',
    ] as const,
    ['today, by due date', readOf({ view: 'today', sort: 'due' }), 'tasks_by_due'] as const,
    ['overdue, latest first', readOf({ view: 'overdue', sort: '-due' }), 'tasks_by_due'] as const,
    ['a tag', readOf({ tag: 'Tag3' }), 'task_words_pkey'] as const,
    [
      'a tag, behind a place',
      lastOf({ tag: 'tag3', sort: 'created_at' }, ['2026-11-10T00:00:00.000000Z']),
      'task_words_pkey',
    ] as const,
  ].map(([what, read, index]) => [what, readPage(OWNER, read, null), index] as const),
];

/** A node of a plan, with the rows that it returned and those that it left out, in all its loops. */
interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string | undefined;
  readonly 'Index Name'?: string | undefined;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number | undefined;
  readonly 'Rows Removed by Index Recheck'?: number | undefined;
  readonly Plans?: readonly Node[] | undefined;
}

const Node: z.ZodType<Node> = z.object({
  'Node Type': z.string(),
  'Relation Name': z.string().optional(),
  'Index Name': z.string().optional(),
  'Actual Rows': z.number(),
  'Actual Loops': z.number(),
  'Rows Removed by Filter': z.number().optional(),
  'Rows Removed by Index Recheck': z.number().optional(),
  get Plans() {
    return z.array(Node).optional();
  },
});

const allOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(allOf)];
const scanned = (node: Node) =>
  (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)) *
  node['Actual Loops'];

onEachDatabase('the plans of lists', (service) => {
  /** The nodes of the plan of a statement that is run by its owner. */
  const planOf = async ({ statement: { text }, values }: BoundStatement) => {
    const literal = (index: number) => (values[index] == null ? 'null' : `'${values[index]}'`);
    const explain = `explain (analyze, format json) ${text.replace(/\$(\d+)/g, (_, n) => literal(Number(n) - 1))}`;
    const [rows = []] = await service().opened.database.transaction({ kind: 'user', userId: OWNER }, [
      statement(explain, [], 'read'),
    ]);
    const [{ Plan }] = z.tuple([z.object({ Plan: Node })]).parse(JSON.parse(rows.flat().join('\n')));
    return allOf(Plan);
  };

  test('what the contract says is served by an index neither sorts nor reads more than it returns', async () => {
    const { database } = service().opened;
    const run = (text: string) => database.transaction({ kind: 'admin' }, [statement(text)]);
    await run(`insert into todo.users (id) select 'planner-' || n from generate_series(1, 10) as n`);
    for (let user = 1; user <= 10; user += 1) {
      await run(
        `insert into todo.tasks (user_id, id, title, title_words, words_revision, position, list_id, created_at, deleted_at,
           is_completed, completed_at, due_date, due_time, tags, tag_keys, tag_words)
         select 'planner-${user}', gen_random_uuid(), 'task w' || n % 100, 'task w' || n % 100, 1, 'a' || 1000 + n,
           case when n % 3 = 0 then '${LIST}'::uuid end, '2026-11-22'::timestamptz - n * interval '1 hour',
           case when n % 11 = 0 then now() end, n % 4 = 0,
           case when n % 4 = 0 then '2026-11-22'::timestamptz - n * interval '50 minutes' end,
           case when n % 2 = 1 then '2026-11-22'::date + n % 61 - 30 end, case when n % 6 = 1 then '09:30' end,
           array['Tag' || n % 10], array['tag' || n % 10], array['tag' || n % 10 || ' #tag' || n % 10]
         from generate_series(1, 600) as n`,
      );
    }
    await service().opened.analyze();
    for (const [what, bound, index] of SERVED) {
      const nodes = await planOf(bound);
      const kinds = nodes.map((node) => node['Node Type']);
      assert.ok(!kinds.some((kind) => /Sort|Seq Scan/.test(kind)), `${what}: ${kinds.join(', ')}`);
      const scans = nodes.filter((node) => /Scan/.test(node['Node Type']) && node['Index Name'] !== 'users_pkey');
      assert.ok(
        scans.some((node) => node['Index Name'] === index),
        `${what}: ${JSON.stringify(scans)}`,
      );
      const isWhole = bound.statement.name.startsWith('task_list');
      for (const node of scans.filter((scan) => scan['Index Name'] !== undefined)) {
        const rows = scanned(node);
        assert.ok(rows > 0 && (isWhole || rows <= LIMIT + 1), `${what}: ${JSON.stringify(node)}`);
        if (isWhole) assert.equal(node['Rows Removed by Filter'] ?? 0, 0, what);
      }
    }
  });

  test('a search reads the entries of its rarest word, and their tasks', async () => {
    const nodes = await planOf(readPage(OWNER, readOf({ q: 'task w7' }, 'w7'), null));
    const [entries] = nodes.filter((node) => node['Index Name'] === 'task_words_pkey');
    const tasks = nodes.filter((node) => node['Index Name'] === 'tasks_pkey');
    assert.ok(entries !== undefined && tasks.length > 0, JSON.stringify(nodes.map((node) => node['Node Type'])));
    const found = scanned(entries);
    assert.ok(found > LIMIT && found < 100, String(found));
    for (const node of tasks) assert.ok(scanned(node) <= found, JSON.stringify(node));
  });
});
