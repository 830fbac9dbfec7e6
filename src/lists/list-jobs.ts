import type { Database } from '../database/database.ts';
import { createJob, type Job } from '../writes/job.ts';
import { purgeDeletedLists } from './job-sql.ts';

/** The jobs on deleted lists. */
export const listJobs = (database: Database): readonly Job[] => [
  createJob(database, 'deleting the rows of deleted lists', purgeDeletedLists({})),
];
