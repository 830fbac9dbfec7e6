import type { Task } from './api-types.ts';

type Order = 'created_at' | 'updated_at' | 'completed_at' | 'due' | 'priority' | 'title' | 'position';

/** Which tasks, in which order: the query parameters of `GET /api/tasks`. */
export interface TaskQuery {
  /** 1 to 1000, by default 1000. */
  readonly limit?: number;
  /** `next_cursor` of the page before. */
  readonly cursor?: string;
  /** With `-` the other way; `-created_at` by default. */
  readonly sort?: Order | `-${Order}`;
  readonly is_completed?: boolean;
  /** `inbox` for tasks in no list. */
  readonly list_id?: string;
  /** `none` for tasks below no other. */
  readonly parent_id?: string;
  readonly priority?: Task['priority'];
  /** With all of them, whatever their case. */
  readonly tag?: string | readonly string[];
  /** `YYYY-MM-DD`, as the next. */
  readonly due_from?: string;
  readonly due_to?: string;
  readonly has_due?: boolean;
  /** RFC 3339, as the next two. */
  readonly completed_from?: string;
  readonly completed_to?: string;
  readonly updated_from?: string;
  readonly view?: 'today' | 'upcoming' | 'overdue';
  /** IANA time zone of the day of `view`; UTC by default. */
  readonly time_zone?: string;
  /** Words of title, description and tags. */
  readonly q?: string;
}

/** @returns the query as the end of a path. */
export function taskQuery(query: TaskQuery): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(name, String(one));
  }
  return parameters.size === 0 ? '' : `?${parameters}`;
}
