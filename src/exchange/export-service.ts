import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import type { Principal } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import type { BoundStatement, Row, Rows } from '../database/sql.ts';
import { LIST_COLUMNS, taskJson } from '../tasks/columns.ts';
import { DOCUMENT_FORMAT } from './document.ts';
import { exportState, exportTasks } from './exchange-sql.ts';
import { listsOf } from './import-lists.ts';
import type { FormatWriter, WrittenTask } from './record.ts';

/** Tasks that are read in one transaction, with up to 2 MB of text. */
const PAGE = 200;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

const text = z.string().nullable().default(null);

/** A task as the database built it, whatever fields it has. */
const ExportedTask = z.object({
  id: z.string(),
  parent_id: text,
  list_id: text,
  title: z.string(),
  description: text,
  is_completed: z.boolean(),
  completed_at: text,
  due_date: text,
  due_time: text,
  due_time_zone: text,
  priority: z.enum(['none', 'low', 'medium', 'high']).default('none'),
  tags: z.array(z.string()).default([]),
  recurrence: text,
  recurrence_from: z.enum(['due', 'completed']).default('due'),
  position: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
});

/** The files of a user's data, in pieces; nothing is read before the first is asked for. */
export interface ExportService {
  /** Everything, as our JSON document. @throws {AppError} as `Database.transaction` does. */
  document(user: Principal): AsyncGenerator<string>;
  /** The tasks that are not deleted. @throws {AppError} as `Database.transaction` does. */
  file(user: Principal, writer: FormatWriter): AsyncGenerator<string>;
}

export function createExportService(database: Database, clock: Clock): ExportService {
  const read = async ({ userId }: Principal, statement: BoundStatement): Promise<Rows> =>
    (await database.transaction({ kind: 'user', userId }, [statement])).at(-1) ?? [];

  const idColumn = LIST_COLUMNS.findIndex(({ name }) => name === 'id');

  /** Pages of tasks: each task that is there all the time is in one of them, as it was when that was read. */
  async function* pages(user: Principal, deleted: boolean): AsyncGenerator<readonly Row[]> {
    for (let after = FIRST_ID; ; ) {
      const rows = await read(user, exportTasks({ owner: user.userId, after, deleted, limit: PAGE }));
      if (rows.length > 0) yield rows;
      const last = rows.at(-1)?.[idColumn];
      if (rows.length < PAGE || typeof last !== 'string') return;
      after = last;
    }
  }

  async function* document(user: Principal): AsyncGenerator<string> {
    const [[version = '0', epoch = null] = []] = await read(user, exportState({ owner: user.userId }));
    const head = {
      format: DOCUMENT_FORMAT,
      format_version: 1,
      exported_at: new Date(clock()).toISOString(),
      user_id: user.userId,
      epoch,
      version: Number(version),
    };
    const all = await listsOf(database, user);
    yield `${JSON.stringify(head).slice(0, -1)},\n"lists":[${all.map(({ json }) => `\n${json}`).join(',')}],\n"tasks":[`;
    let separator = '\n';
    for await (const rows of pages(user, true)) {
      yield separator + rows.map((row) => taskJson(row)).join(',\n');
      separator = ',\n';
    }
    yield ']}\n';
  }

  async function* file(user: Principal, writer: FormatWriter): AsyncGenerator<string> {
    const names = new Map((await listsOf(database, user)).map(({ id, name }) => [id, name]));
    const toWritten = (row: Row): WrittenTask => {
      const { list_id: list, ...task } = ExportedTask.parse(JSON.parse(taskJson(row)));
      return { ...task, list: names.get(list ?? '') ?? null };
    };
    let head = writer.begin();
    for await (const rows of pages(user, false)) {
      yield head + writer.write(rows.map(toWritten));
      head = '';
    }
    yield head + writer.end();
  }

  return { document, file };
}
