import { findPostgres, type PostgresPlaces, PostgresServer } from '../../test/support/postgres-server.ts';
import { asAdmin } from '../../test/support/service.ts';

/** Starts a PostgreSQL server with `fsync=on`. @throws when this machine has no PostgreSQL. */
export async function startPostgres(settings: readonly string[], places: PostgresPlaces): Promise<PostgresServer> {
  const programs = findPostgres(process.env.TEST_POSTGRES_BIN);
  if (programs === null) throw new Error('No PostgreSQL programs: set TEST_POSTGRES_BIN');
  return PostgresServer.create(programs, ['fsync=on', ...settings], places);
}

/** Runs one statement as superuser. */
export const runSql = (server: PostgresServer, sql: string) => asAdmin(server.url(), sql);

/** The backend process ids of the service's connections, the oldest first. */
export async function serviceConnections(server: PostgresServer): Promise<number[]> {
  const { rows } = await runSql(
    server,
    `select pid from pg_stat_activity where application_name = 'todo-api' order by backend_start`,
  );
  return rows.map(({ pid }) => Number(pid));
}

/** Terminates the `most` oldest connections of the service, and waits until they are closed. @returns how many. */
export async function terminateConnections(server: PostgresServer, most = Number.POSITIVE_INFINITY): Promise<number> {
  const pids = (await serviceConnections(server)).slice(0, most);
  if (pids.length === 0) return 0;
  const list = `array[${pids.join(',')}]::int[]`;
  await runSql(server, `select pg_terminate_backend(pid) from unnest(${list}) as pid`);
  for (;;) {
    const { rowCount } = await runSql(server, `select from pg_stat_activity where pid = any(${list})`);
    if (rowCount === 0) return pids.length;
  }
}
