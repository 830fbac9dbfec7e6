import type pg from 'pg';
import { damagedFiles } from './damage.ts';

/** The tables of the schema, with an expression that reads every text of a row, also those in the TOAST table. */
const TABLES = `
  select class.oid::regclass::text as name,
    (select coalesce(string_agg(format('coalesce(sum(length(%I)), 0)', attname), ' + '), '0') from pg_attribute
      where attrelid = class.oid and attnum > 0 and not attisdropped and atttypid = 'text'::regtype) as texts,
    pg_table_size(class.oid)::float8 + pg_indexes_size(class.oid)::float8 as bytes
  from pg_class as class join pg_namespace as namespace on namespace.oid = relnamespace
  where nspname = 'todo' and relkind = 'r'`;

/** Which rows of its table each index of the schema has, and in which order. */
const INDEXES = `
  select indexrelid::regclass::text as name, indrelid::regclass::text as table,
    (select string_agg(format('%I %s', attname, case when indoption[number - 1] & 1 = 1 then 'desc' else 'asc' end), ', '
        order by number)
      from unnest(indkey) with ordinality as key (attribute, number)
      join pg_attribute on attrelid = indrelid and attnum = attribute) as keys,
    coalesce(pg_get_expr(indpred, indrelid), 'true') as condition
  from pg_index join pg_class as class on class.oid = indexrelid join pg_namespace as namespace on namespace.oid = relnamespace
  where nspname = 'todo' and indexprs is null`;

interface Index {
  readonly name: string;
  readonly table: string;
  readonly keys: string;
  readonly condition: string;
}

/** Which plans are left to the planner. */
const SCAN_TABLE = { enable_seqscan: 'on', enable_indexscan: 'off', enable_indexonlyscan: 'off' };
const SCAN_INDEX = { enable_seqscan: 'off', enable_indexscan: 'on', enable_indexonlyscan: 'on' };

/** Reading more would delay the start by more than a few seconds. */
const MAX_BYTES = 1_073_741_824;

async function usePlans(client: pg.ClientBase, plans: Readonly<Record<string, string>>): Promise<void> {
  const unwanted = { enable_bitmapscan: 'off', enable_sort: 'off', enable_incremental_sort: 'off' };
  const settings = Object.entries({ ...plans, ...unwanted });
  const calls = settings.map(([name, value]) => `set_config('${name}', '${value}', true)`);
  await client.query(`select ${calls.join(', ')}`);
}

async function countOf(client: pg.ClientBase, from: string, texts = '0'): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::float8 as count, ${texts} as texts from ${from}`,
  );
  return rows[0]?.count ?? 0;
}

interface TableCheck {
  readonly client: pg.ClientBase;
  /** DATA_DIR */
  readonly directory: string;
  readonly onWarning: (message: string) => void;
}

/**
 * Reads every page of the tables of users, and demands that each of their indexes leads to as many rows: checksums, which
 * PostgreSQL verifies, find a damaged page, but not a file that is too short, or another's. Above 1 GiB this is left out.
 * @throws {DatabaseUnusableError} if they differ; the driver's errors otherwise.
 */
export async function verifyTables({ client, directory, onWarning }: TableCheck): Promise<void> {
  await client.query('begin isolation level repeatable read, read only');
  try {
    const tables = (await client.query<{ name: string; texts: string; bytes: number }>(TABLES)).rows;
    if (tables.reduce((sum, { bytes }) => sum + bytes, 0) > MAX_BYTES) {
      onWarning('The tables are larger than 1 GiB, and are not verified at the start');
      return;
    }
    const indexes = (await client.query<Index>(INDEXES)).rows;
    await usePlans(client, SCAN_TABLE);
    const counts = new Map<string, number>();
    for (const { name, texts } of tables) counts.set(`${name} where true`, await countOf(client, name, texts));
    for (const { table, condition } of indexes) {
      const rows = `${table} where ${condition}`;
      counts.set(rows, counts.get(rows) ?? (await countOf(client, rows)));
    }
    await usePlans(client, SCAN_INDEX);
    for (const { name, table, condition, keys } of indexes) {
      const rows = `${table} where ${condition}`;
      const count = await countOf(client, `(select from ${rows} order by ${keys} offset 0) as rows`);
      if (count === counts.get(rows)) continue;
      const found = `Table ${table} has ${counts.get(rows)} rows for its index ${name}, which has ${count}`;
      throw damagedFiles(directory, found);
    }
  } finally {
    await client.query('rollback').catch(() => undefined);
  }
}
