import type { Changes } from './api-types.ts';
import type { ChangesOptions, TodoClient } from './client.ts';

/**
 * The pages of changes after `cursor`, or of everything that is there, up to the newest. It may be ended at any page
 * and continued with that page's cursor.
 * @throws {TodoApiError} 410 `CURSOR_EXPIRED`: start again without a cursor, and drop what the new copy does not have.
 */
export async function* changes(
  client: TodoClient,
  options: Omit<ChangesOptions, 'wait'> = {},
): AsyncGenerator<Changes, void, undefined> {
  let cursor = options.cursor ?? null;
  for (;;) {
    const page = await client.changes({ ...options, cursor });
    yield page;
    if (!page.has_more) return;
    cursor = page.cursor;
  }
}
