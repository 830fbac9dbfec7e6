/** What an SQLSTATE asks of us (PostgreSQL manual, appendix A). */
export type Verdict =
  /** The transaction lost a race; it may be run again. */
  | 'retry'
  /** A pooler between us and the server does not know our prepared statements; run it again without. */
  | 'retry-unnamed'
  /** The server cannot serve this now, and another connection may reach one that can. */
  | 'unavailable'
  /** The settings are wrong: no amount of waiting helps. */
  | 'misconfigured'
  | 'failed';

const VERDICTS: ReadonlyMap<string, Verdict> = new Map([
  ['40001', 'retry'], // serialization_failure
  ['40P01', 'retry'], // deadlock_detected
  ['26000', 'retry-unnamed'], // invalid_sql_statement_name
  ['42P05', 'retry-unnamed'], // duplicate_prepared_statement
  ['25006', 'unavailable'], // read_only_sql_transaction
  ['53300', 'unavailable'], // too_many_connections
  ['57P01', 'unavailable'], // admin_shutdown
  ['57P02', 'unavailable'], // crash_shutdown
  ['57P03', 'unavailable'], // cannot_connect_now
  ['28000', 'misconfigured'], // invalid_authorization_specification
  ['28P01', 'misconfigured'], // invalid_password
  ['3D000', 'misconfigured'], // invalid_catalog_name
  ['42501', 'misconfigured'], // insufficient_privilege
]);

export function judge(sqlState: string): Verdict {
  return VERDICTS.get(sqlState) ?? 'failed';
}

/** @returns the SQLSTATE that a driver's error carries, or null where it never came from the server. */
export function sqlStateOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null;
  return /^[0-9A-Z]{5}$/.test(error.code) ? error.code : null;
}
