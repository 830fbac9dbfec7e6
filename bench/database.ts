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
const STATISTICS = ['shared_preload_libraries=pg_stat_statements', 'pg_stat_statements.track_planning=on'];

/** From pg_stat_statements. */
export interface StatementTime {
  readonly statements: number;
  readonly microseconds: number;
}

/** The PostgreSQL server shared by all contenders. */
export class BenchDatabase {
  readonly version: string;
  /** Path of pgbench, or null if it is missing. */
  readonly pgbench: string | null;
  readonly hasStatistics: boolean;
  readonly #server: PostgresServer;
  readonly #admin: pg.Client;
  readonly #pid: number | null;

  private constructor(
    server: PostgresServer,
    admin: pg.Client,
    facts: { version: string; pid: number; hasStatistics: boolean; pgbench: string | null },
  ) {
    this.#server = server;
    this.#admin = admin;
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
    const setup = new pg.Client(server.url());
    await setup.connect();
    await setup.query(`create database bench template template0 encoding 'UTF8'`);
    await setup.end();
    const admin = new pg.Client(server.url('bench'));
    await admin.connect();
    const facts = await admin.query<{ version: string; pid: number; libraries: string }>(
      `select current_setting('server_version') as version, pg_backend_pid() as pid,
        current_setting('shared_preload_libraries') as libraries`,
    );
    const { version = '', pid = 0, libraries = '' } = facts.rows[0] ?? {};
    const hasStatistics = libraries !== '';
    if (hasStatistics) await admin.query('create extension pg_stat_statements');
    const postmaster = parentOf(pid);
    if (cores !== null && postmaster !== null) output('taskset', ['-acp', cores.join(','), String(postmaster)]);
    const pgbench = `${programs.bin}/pgbench`;
    const hasPgbench = output(pgbench, ['--version']) !== null;
    const database = new BenchDatabase(server, admin, {
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

  get url(): string {
    return this.#server.url('bench');
  }

  async run(sql: string): Promise<void> {
    await this.#admin.query(sql);
  }

  /** CPU time of the server with its backends. */
  cpuMicroseconds(): number | null {
    return this.#pid === null ? null : cpuMicroseconds(this.#pid);
  }

  /** Deletes created tasks and dead rows: each cell starts from the same tables. */
  async restore(): Promise<void> {
    for (const table of ['todo.tasks', 'peer.tasks']) {
      await this.#admin.query(`delete from ${table} where title = '${CREATED_TITLE}'`);
      await this.#admin.query(`vacuum (analyze) ${table}`);
    }
    await this.#admin.query('checkpoint');
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
    await this.#admin.query('select pg_stat_statements_reset()');
  }

  /** Statements since the reset, and their planning and execution time. */
  async statementTimes(): Promise<StatementTime> {
    const sums = await this.#admin.query<StatementTime>(
      `select coalesce(sum(calls), 0)::float as statements,
        coalesce(sum(total_exec_time + total_plan_time), 0)::float * 1000 as microseconds
      from pg_stat_statements where query not like '%pg_stat_statements%'`,
    );
    return sums.rows[0] ?? { statements: 0, microseconds: 0 };
  }

  async #track(what: 'top' | 'none'): Promise<void> {
    await this.#admin.query(`alter system set pg_stat_statements.track = '${what}'`);
    await this.#admin.query('select pg_reload_conf()');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }

  async stop(): Promise<void> {
    await this.#admin.end();
    await this.#server.stop('fast');
    await this.#server.remove();
  }
}
