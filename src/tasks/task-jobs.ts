import type { Database } from '../database/database.ts';
import { createJob, type Job } from '../writes/job.ts';
import { blankDeletedTasks, purgeBlankTasks } from './job-sql.ts';
import type { TaskLimits } from './task-effects.ts';

/** The jobs on deleted tasks. */
export const taskJobs = (database: Database, { deletedTasksDays: days }: TaskLimits): readonly Job[] => [
  createJob(database, 'blanking deleted tasks', blankDeletedTasks({ days })),
  createJob(database, 'deleting the rows of blank tasks', purgeBlankTasks({})),
];
