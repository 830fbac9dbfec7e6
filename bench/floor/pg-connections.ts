import pg from 'pg';
import { type AsUser, BECOME_USER } from './statements.ts';

/** The four statements of the transaction sent together over the least busy of a few connections. */
export async function openPgConnections(url: string, connections: number): Promise<AsUser> {
  const clients = Array.from({ length: connections }, () => ({
    client: new pg.Client({ connectionString: url, pipeline: true }),
    load: 0,
  }));
  await Promise.all(clients.map(({ client }) => client.connect()));

  return async (user, statement, values) => {
    const free = clients.reduce((best, next) => (next.load < best.load ? next : best));
    free.load += 1;
    const { client } = free;
    const sent = await Promise.allSettled([
      client.query('begin'),
      client.query({ ...BECOME_USER, values: [user] }),
      client.query<{ json: string }>({ ...statement, values: [...values] }),
      client.query('commit'),
    ]);
    free.load -= 1;
    for (const result of sent) if (result.status === 'rejected') throw result.reason;
    return sent[2].status === 'fulfilled' ? (sent[2].value.rows[0]?.json ?? null) : null;
  };
}
