import pg from 'pg';
import { type AsUser, SET_USER } from './statements.ts';

/** Sends the four statements of a transaction in one pipeline over the least busy connection. */
export async function openPgConnections(url: string, connections: number): Promise<AsUser> {
  const clients = Array.from({ length: connections }, () => ({
    client: new pg.Client({ connectionString: url, pipeline: true }),
    inFlight: 0,
  }));
  await Promise.all(clients.map(({ client }) => client.connect()));

  return async (user, statement, values) => {
    const least = clients.reduce((best, next) => (next.inFlight < best.inFlight ? next : best));
    least.inFlight += 1;
    const { client } = least;
    const results = await Promise.allSettled([
      client.query('begin'),
      client.query({ ...SET_USER, values: [user] }),
      client.query<{ json: string }>({ ...statement, values: [...values] }),
      client.query('commit'),
    ]);
    least.inFlight -= 1;
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return results[2].status === 'fulfilled' ? (results[2].value.rows[0]?.json ?? null) : null;
  };
}
