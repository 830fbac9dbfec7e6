import { createHash } from 'node:crypto';
import type { UserId } from '../../dist/core/user.js';
import type { Database } from '../../dist/database/database.js';
import type { BoundStatement, Rows, Statement } from '../../dist/database/sql.js';

/** A statement with positional parameters (`$1`…), as the tests write them. */
export function statement(
  text: string,
  values: readonly (string | null)[] = [],
  access: Statement['access'] = 'write',
): BoundStatement {
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 8);
  return { statement: { name: `test_${digest}`, text, access }, values };
}

/** Runs one statement as a transaction of `user`. */
export async function runAs(
  database: Pick<Database, 'transaction'>,
  user: string,
  text: string,
  values?: readonly (string | null)[],
): Promise<Rows> {
  const access = /^\s*(select|explain)\b/.test(text) ? 'read' : 'write';
  const [rows = []] = await database.transaction({ kind: 'user', userId: user as UserId }, [
    statement(text, values, access),
  ]);
  return rows;
}

/** The name of a use case's statement, without the digest. */
export const baseName = ({ name }: Statement): string => name.replace(/_[0-9a-f]{8}$/, '');
