import type { AsUser, Statement } from './statements.ts';

interface BoundStatement {
  readonly statement: Statement & { readonly access: 'write' };
  readonly values: readonly (string | null)[];
}

/** The part of the service's database that is used here. */
interface OwnDatabase {
  transaction(
    identity: { readonly kind: 'user'; readonly userId: string },
    statements: readonly BoundStatement[],
  ): Promise<readonly (readonly (string | null)[])[][]>;
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
    onFatal: () => process.exit(1),
  });
  return async (user, statement, values) => {
    const texts = values.map((value) => (value === null ? null : String(value)));
    const bound: BoundStatement = { statement: { ...statement, access: 'write' }, values: texts };
    const [rows] = await database.transaction({ kind: 'user', userId: user }, [bound]);
    return rows?.[0]?.[0] ?? null;
  };
}
