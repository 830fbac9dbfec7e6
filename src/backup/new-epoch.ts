import type { AdminAccess } from './admin-access.ts';

/**
 * Gives every user a new epoch and a version above all that were given, page by page: needed after a restore by other
 * means, because clients may know more than the restored database. May be run again after an interruption.
 * @returns how many users there are.
 */
export async function renewEpochs(access: AdminAccess): Promise<number> {
  let users = 0;
  for (let after = ''; ; ) {
    const [[[last, count] = []] = []] = await access.run({ kind: 'epoch', after });
    if (typeof last !== 'string') return users;
    after = last;
    users += Number(count);
  }
}
