import type { AsUser, Statement } from './statements.ts';

interface OwnStatement extends Statement {
  readonly access: 'write';
}

/** The part of the service's database that is used here. */
interface OwnDatabase {
  asUser(
    user: string,
    statement: OwnStatement,
    values: readonly (string | null)[],
  ): Promise<readonly (string | null)[][]>;
}

/** The statement by way of the connections that the service itself uses: what is left of its cost is HTTP. */
export async function openOwnConnections(url: string, connections: number): Promise<AsUser> {
  const { openPostgres } = await import(new URL('../../../dist/database/postgres.js', import.meta.url).href);
  const database: OwnDatabase = await openPostgres({
    url,
    connections,
    pipeline: true,
    namedStatements: true,
    purpose: 'serve',
    onWarning: () => undefined,
    onUnusable: () => process.exit(1),
  });
  return async (user, statement, values) => {
    const texts = values.map((value) => (value === null ? null : String(value)));
    const rows = await database.asUser(user, { ...statement, access: 'write' }, texts);
    return rows[0]?.[0] ?? null;
  };
}
