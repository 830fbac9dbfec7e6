import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Database } from '../../dist/database/database.js';
import { openPostgres, type PostgresOptions } from '../../dist/database/postgres.js';

/** The PostgreSQL server that tests may create databases on, as a superuser; null where there is none. */
export const POSTGRES_URL = process.env.TEST_DATABASE_URL ?? null;

export interface OpenDatabase {
  readonly database: Database;
  /** The URL of a PostgreSQL database, the folder of an embedded one. */
  readonly place: string;
  /** The warnings that an operator would find in the log. */
  readonly warnings: string[];
  /** Brings the planner's statistics up to date. */
  analyze(): Promise<void>;
  remove(): Promise<void>;
}

/** A database of a test; `remove` drops it. */
export interface CreatedDatabase {
  readonly url: string;
  readonly remove: () => Promise<void>;
}

/** Runs SQL as the role of `url`, which in tests is a superuser and so exempt from row-level security. */
export async function asAdmin(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client(url);
  client.on('error', () => undefined); // a connection that is lost fails the query, which is enough
  await client.connect();
  return client.query(sql).finally(() => client.end());
}

/** Creates a database on the server at `server`, empty unless `template` names another to copy. */
export async function createPostgresDatabase(server: string, template = 'template0'): Promise<CreatedDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await asAdmin(server, `create database ${name} template ${template} encoding 'UTF8'`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    remove: async () => void (await asAdmin(server, `drop database if exists ${name} with (force)`)),
  };
}

/**
 * Creates a database on the server of the tests, with the schema in it: a copy of `TEST_DATABASE_TEMPLATE`, or without
 * that an empty one, which is migrated when it is opened.
 */
export async function createMigratedDatabase(): Promise<CreatedDatabase> {
  if (POSTGRES_URL === null) throw new Error('TEST_DATABASE_URL is not set');
  return createPostgresDatabase(POSTGRES_URL, process.env.TEST_DATABASE_TEMPLATE);
}

/** Creates the database that `createMigratedDatabase` copies, and sets `TEST_DATABASE_TEMPLATE`. */
export async function createTemplate(server: string): Promise<CreatedDatabase> {
  const template = await createPostgresDatabase(server);
  await (await openPostgresAt(template.url)).remove();
  process.env.TEST_DATABASE_TEMPLATE = new URL(template.url).pathname.slice(1);
  return template;
}

export function throwError(error: unknown): never {
  throw error;
}

/** Opens the PostgreSQL database at `url` as the program does; `remove` closes it and leaves the database. */
export async function openPostgresAt(
  url: string,
  options: Partial<Pick<PostgresOptions, 'connections' | 'onFatal' | 'statementTimeoutMs' | 'unnamedMs'>> = {},
): Promise<OpenDatabase> {
  const warnings: string[] = [];
  const database = await openPostgres({
    url,
    connections: 4,
    pipeline: true,
    namedStatements: true,
    purpose: 'serve',
    onWarning: (message) => void warnings.push(message),
    onFatal: throwError,
    ...options,
  });
  const analyze = async () => void (await asAdmin(url, 'analyze'));
  return { database, place: url, warnings, analyze, remove: () => database.close() };
}
