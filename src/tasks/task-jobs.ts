import { z } from 'zod';
import type { Database } from '../database/database.ts';
import type { Row } from '../database/sql.ts';
import { createJob, type Job, runJob } from '../writes/job.ts';
import { STEP_ROWS } from '../writes/job-sql.ts';
import { derivedOf } from './columns.ts';
import { blankDeletedTasks, indexTasks, purgeBlankTasks, readUnindexedTasks } from './job-sql.ts';
import type { TaskLimits } from './task-effects.ts';

const Tags = z.array(z.string());

const withWords = ([user_id, id, version, title, description = null, tags]: Row) => ({
  user_id,
  id,
  version,
  ...derivedOf({ title: title ?? '', description, tags: Tags.parse(JSON.parse(tags ?? '[]')) }),
});

/** Makes the words of tasks that have none of the present revision: of those written in psql, or by an older program. */
const indexing = (database: Database): Job => ({
  title: 'indexing the words of tasks',
  step: async () => {
    const tasks = await runJob(database, readUnindexedTasks({}));
    if (tasks.length === 0) return { users: new Set(), isLast: true };
    const indexed = await runJob(database, indexTasks({ tasks: tasks.map(withWords) }));
    return { users: new Set(), isLast: indexed.length < STEP_ROWS };
  },
});

/** The jobs on tasks. */
export const taskJobs = (database: Database, { deletedTasksDays: days }: TaskLimits): readonly Job[] => [
  createJob(database, 'blanking deleted tasks', blankDeletedTasks({ days })),
  createJob(database, 'deleting the rows of blank tasks', purgeBlankTasks({})),
  indexing(database),
];
