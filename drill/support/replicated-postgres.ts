import { setTimeout as delay } from 'node:timers/promises';
import { findReplicatingPostgres, PostgresServer } from '../../test/support/postgres-server.ts';
import { runSql } from './postgres.ts';

const SETTINGS = [
  'fsync=on',
  'wal_keep_size=256MB',
  'dynamic_shared_memory_type=mmap', // in the data directory, which is deleted when its server has been killed
];
const PROMOTION_TIMEOUT_MS = 30_000;

/** A primary and a synchronous standby, the steps of a failover, and those of docs/operations.md after it. */
export class ReplicatedPostgres {
  /** Both servers; which of them is the primary changes. */
  readonly servers: readonly [PostgresServer, PostgresServer];
  #primary: 0 | 1 = 0;

  private constructor(servers: readonly [PostgresServer, PostgresServer]) {
    this.servers = servers;
  }

  /** @throws when this machine has no PostgreSQL with pg_basebackup. */
  static async create(): Promise<ReplicatedPostgres> {
    const programs = findReplicatingPostgres(process.env.TEST_POSTGRES_BIN);
    if (programs === null) throw new Error('NOT RUN: PostgreSQL with pg_basebackup is not installed');
    const first = await PostgresServer.create(programs, SETTINGS);
    await runSql(first, 'create role haproxy login');
    const replicated = new ReplicatedPostgres([first, await PostgresServer.createStandby(first)]);
    await replicated.#synchronize();
    return replicated;
  }

  get primary(): PostgresServer {
    return this.servers[this.#primary];
  }

  get standby(): PostgresServer {
    return this.servers[this.#primary === 0 ? 1 : 0];
  }

  /** The name of the primary in HAProxy's configuration. */
  get primaryName(): 'first' | 'second' {
    return this.#primary === 0 ? 'first' : 'second';
  }

  /** Suspends the process that sends WAL to the standby: from now on no write may be acknowledged. */
  async stallReplication(): Promise<void> {
    const { rows } = await runSql(this.primary, 'select pid from pg_stat_replication');
    for (const { pid } of rows) process.kill(Number(pid), 'SIGSTOP');
  }

  /** Promotes the standby. @returns a moment of `performance.now()`, at most one query before it accepted writes. */
  async promote(): Promise<number> {
    this.#primary = this.#primary === 0 ? 1 : 0;
    const deadline = performance.now() + PROMOTION_TIMEOUT_MS;
    await runSql(this.primary, 'select pg_promote(false)');
    for (;;) {
      const askedAt = performance.now();
      const { rows } = await runSql(this.primary, 'select pg_is_in_recovery() as waits');
      if (rows[0]?.waits === false) return askedAt;
      if (askedAt > deadline) throw new Error('The standby was not promoted');
      await delay(5);
    }
  }

  /** Makes the server that was killed the synchronous standby of the one that was promoted. */
  async rejoin(): Promise<void> {
    await this.standby.follow(this.primary);
    await this.#synchronize();
  }

  async remove(): Promise<void> {
    for (const server of this.servers) await server.remove();
  }

  async #synchronize(): Promise<void> {
    await runSql(this.primary, "alter system set synchronous_standby_names = 'standby'");
    await runSql(this.primary, 'select pg_reload_conf()');
    const isSynchronous = "select from pg_stat_replication where state = 'streaming' and sync_state = 'sync'";
    while ((await runSql(this.primary, isSynchronous)).rowCount === 0) await delay(20);
  }
}
