/**
 * The `skip` option of tests that need a program which this machine may not have: `reason`, or false where it is there.
 * @throws {Error} `reason`, where the program is missing although `TEST_REQUIRE_<name>` is set, as CI does.
 */
export function skipUnless(
  isThere: boolean,
  name: 'POSTGRES' | 'PGBOUNCER' | 'CHROMIUM' | 'CURL' | 'PYTHON' | 'PACKAGES',
  reason: string,
): string | false {
  if (isThere) return false;
  if (process.env[`TEST_REQUIRE_${name}`]) throw new Error(reason);
  return reason;
}
