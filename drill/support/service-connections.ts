import { asAdmin } from '../../test/support/service.ts';

/** The service's connections on the server at `url`, the oldest first, by the server's process ids. */
export async function serviceConnections(url: string): Promise<number[]> {
  const { rows } = await asAdmin(
    url,
    `select pid from pg_stat_activity where application_name = 'todo-api' order by backend_start`,
  );
  return rows.map(({ pid }) => Number(pid));
}

/** Has the server end the `most` oldest connections of the service, and waits until they are gone. @returns how many */
export async function endConnections(url: string, most = Number.POSITIVE_INFINITY): Promise<number> {
  const chosen = (await serviceConnections(url)).slice(0, most);
  if (chosen.length === 0) return 0;
  const list = `array[${chosen.join(',')}]::int[]`;
  await asAdmin(url, `select pg_terminate_backend(pid) from unnest(${list}) as pid`);
  for (;;) {
    const { rowCount } = await asAdmin(url, `select from pg_stat_activity where pid = any(${list})`);
    if (rowCount === 0) return chosen.length;
  }
}
