import type pg from 'pg';
import { classify, DatabaseUnusableError, sqlStateOf } from '../errors.ts';

interface ReadyOptions {
  /** Opens a connection. */
  readonly connect: () => Promise<pg.Client>;
  /** Migrates and verifies the schema. */
  readonly prepare: (client: pg.Client) => Promise<void>;
  /** Called once if the database must not be used; later attempts fail with the same error. */
  readonly onFatal: (error: DatabaseUnusableError) => void;
}

/** How long `prepare` may take, a large migration included. */
const MAX_PREPARE_MS = 900_000;

/** What to do, by the class of an SQLSTATE: its first two characters. */
const HINTS: ReadonlyMap<string, string> = new Map([
  ['28', 'correct the user name and password in DATABASE_URL, or allow them in pg_hba.conf'],
  ['3D', 'create that database, or correct its name in DATABASE_URL'],
  ['42', 'see "The role that connects" in docs/operations.md'],
]);

function fatalError(error: unknown): DatabaseUnusableError | null {
  if (error instanceof DatabaseUnusableError) return error;
  const sqlState = sqlStateOf(error);
  if (sqlState === null || (classify(sqlState) !== 'misconfigured' && !sqlState.startsWith('42'))) return null;
  const message = error instanceof Error ? error.message : String(error);
  return new DatabaseUnusableError(
    `The database cannot be used: ${message}; ${HINTS.get(sqlState.slice(0, 2))}`,
    error,
  );
}

async function prepareOnce({ connect, prepare }: ReadyOptions): Promise<void> {
  const client = await connect();
  const { stream } = client.connection;
  const timer = setTimeout(() => stream.destroy(new Error('The database did not answer in time')), MAX_PREPARE_MS);
  try {
    await prepare(client);
    await client.end();
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
}

/**
 * @returns `connect`, preceded by `prepare` on a connection of its own: once, before the first connection is opened,
 *   and again at each later call until it has succeeded.
 */
export function connectWhenReady(options: ReadyOptions): () => Promise<pg.Client> {
  let ready: Promise<void> | null = null;
  const retryLater = (error: unknown) => {
    const fatal = fatalError(error);
    if (fatal === null) ready = null;
    else options.onFatal(fatal);
    throw fatal ?? error;
  };
  return async () => {
    ready ??= prepareOnce(options).catch(retryLater);
    await ready;
    return options.connect();
  };
}
