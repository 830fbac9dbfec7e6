import pg from 'pg';
import { findPostgres, PostgresServer } from '../test/support/postgres-server.ts';
import { CREATED_TITLE } from './data.ts';
import { cpuMicroseconds, output, parentOf } from './machine.ts';

/** Durable as in production; no checkpoint or autovacuum runs in the background of a single contender. */
export const SETTINGS = [
  'fsync=on',
  'synchronous_commit=on',
  'shared_buffers=1GB',
  'max_wal_size=8GB',
  'checkpoint_timeout=1h',
  'autovacuum=off',
];
/** The name of the database with the tables of the service and the peers. */
export const DATABASE = 'bench';
const STATISTICS = ['shared_preload_libraries=pg_stat_statements', 'pg_stat_statements.track_planning=on'];

/** From pg_stat_statements. */
export interface StatementTime {
  readonly statements: number;
  readonly microseconds: number;
}

/** A database of the server: with the tables of the service and the peers, or with those of another build. */
export class BenchTables {
  readonly url: string;
  readonly #admin: pg.Client;

  private constructor(url: string, admin: pg.Client) {
    this.url = url;
    this.#admin = admin;
  }

  static async create(server: PostgresServer, name: string): Promise<BenchTables> {
    const setup = new pg.Client(server.url());
    await setup.connect();
    await setup.query(`create database ${name} template template0 encoding 'UTF8'`);
    await setup.end();
    const admin = new pg.Client(server.url(name));
    await admin.connect();
    return new BenchTables(server.url(name), admin);
  }

  async run<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
    return (await this.#admin.query<Row>(sql)).rows;
  }

  /** Deletes created tasks and dead rows. */
  async restore(): Promise<void> {
    const tables = await this.run<{ name: string }>(
      `select schemaname || '.' || tablename as name from pg_tables where schemaname in ('todo', 'peer') order by tablename`,
    );
    for (const { name } of tables) {
      if (name.endsWith('.tasks')) await this.run(`delete from ${name} where title = '${CREATED_TITLE}'`);
      await this.run(`vacuum (analyze) ${name}`);
    }
  }

  async close(): Promise<void> {
    await this.#admin.end();
  }
}

/** The PostgreSQL server shared by all contenders. */
export class BenchDatabase {
  readonly version: string;
  /** Path of pgbench, or null if it is missing. */
  readonly pgbench: string | null;
  readonly hasStatistics: boolean;
  readonly tables: BenchTables;
  readonly #server: PostgresServer;
  /** Of other builds. */
  readonly #others: BenchTables[] = [];
  readonly #pid: number | null;

  private constructor(
    server: PostgresServer,
    tables: BenchTables,
    facts: { version: string; pid: number; hasStatistics: boolean; pgbench: string | null },
  ) {
    this.#server = server;
    this.tables = tables;
    this.#pid = parentOf(facts.pid);
    this.version = facts.version;
    this.hasStatistics = facts.hasStatistics;
    this.pgbench = facts.pgbench;
  }

  static async start(cores: readonly number[] | null): Promise<BenchDatabase> {
    const bin = output('pg_config', ['--bindir']) ?? undefined;
    const programs = (bin === undefined ? null : findPostgres(bin)) ?? findPostgres();
    if (programs === null)
      throw new Error('PostgreSQL not found: neither in `pg_config --bindir` nor in the npm package');
    const server = await PostgresServer.create(programs, [...SETTINGS, ...STATISTICS]).catch(() =>
      PostgresServer.create(programs, SETTINGS),
    );
    const tables = await BenchTables.create(server, DATABASE);
    const facts = await tables.run<{ version: string; pid: number; libraries: string }>(
      `select current_setting('server_version') as version, pg_backend_pid() as pid,
        current_setting('shared_preload_libraries') as libraries`,
    );
    const { version = '', pid = 0, libraries = '' } = facts[0] ?? {};
    const hasStatistics = libraries !== '';
    if (hasStatistics) await tables.run('create extension pg_stat_statements');
    const postmaster = parentOf(pid);
    if (cores !== null && postmaster !== null) output('taskset', ['-acp', cores.join(','), String(postmaster)]);
    const pgbench = `${programs.bin}/pgbench`;
    const hasPgbench = output(pgbench, ['--version']) !== null;
    const database = new BenchDatabase(server, tables, {
      version,
      pid,
      hasStatistics,
      pgbench: hasPgbench ? pgbench : null,
    });
    if (hasStatistics) await database.#track('none');
    return database;
  }

  get port(): number {
    return this.#server.port;
  }

  /** Another database of this server. */
  async addTables(name: string): Promise<BenchTables> {
    const tables = await BenchTables.create(this.#server, name);
    this.#others.push(tables);
    return tables;
  }

  /** CPU time of the server with its backends. */
  cpuMicroseconds(): number | null {
    return this.#pid === null ? null : cpuMicroseconds(this.#pid);
  }

  /** Deletes created tasks and dead rows: each cell starts from the same tables. */
  async restore(): Promise<void> {
    for (const tables of [this.tables, ...this.#others]) await tables.restore();
    await this.tables.run('checkpoint');
  }

  /** Runs `work` with other settings of the server (`postgresql.conf`). */
  async withSettings(settings: Readonly<Record<string, string>>, work: () => Promise<void>): Promise<void> {
    for (const [name, value] of Object.entries(settings)) await this.#set(`set ${name} = '${value}'`);
    try {
      await work();
    } finally {
      for (const name of Object.keys(settings)) await this.#set(`reset ${name}`);
    }
  }

  /** Enables pg_stat_statements while `work` runs. */
  async withStatementTimes(work: () => Promise<void>): Promise<void> {
    await this.#track('top');
    try {
      await work();
    } finally {
      await this.#track('none');
    }
  }

  async resetStatementTimes(): Promise<void> {
    await this.tables.run('select pg_stat_statements_reset()');
  }

  /** Statements since the reset, and their planning and execution time. */
  async statementTimes(): Promise<StatementTime> {
    const [sums] = await this.tables.run<StatementTime>(
      `select coalesce(sum(calls), 0)::float as statements,
        coalesce(sum(total_exec_time + total_plan_time), 0)::float * 1000 as microseconds
      from pg_stat_statements where query not like '%pg_stat_statements%'`,
    );
    return sums ?? { statements: 0, microseconds: 0 };
  }

  async #track(what: 'top' | 'none'): Promise<void> {
    await this.#set(`set pg_stat_statements.track = '${what}'`);
  }

  async #set(change: string): Promise<void> {
    await this.tables.run(`alter system ${change}`);
    await this.tables.run('select pg_reload_conf()');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }

  async stop(): Promise<void> {
    for (const tables of [this.tables, ...this.#others]) await tables.close();
    await this.#server.stop('fast');
    await this.#server.remove();
  }
}
