import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { jsonResponse } from '../../http/openapi.ts';
import { TaskCountsQuery, TaskListQuery } from '../../tasks/list-query.ts';
import {
  DeletedTask,
  Task,
  TaskCounts,
  TaskCreate,
  TaskDeletionQuery,
  TaskId,
  TaskList,
  TaskToggle,
  TaskUpdate,
} from '../../tasks/task.ts';
import type { TaskService } from '../../tasks/task-service.ts';
import {
  CREATE_ONLY,
  ETAG,
  GUARDED,
  IF_NONE_MATCH,
  invalidField,
  KEY,
  LIMIT,
  LIST_ETAG,
  linksTo,
  location,
  NOT_MODIFIED,
  operation,
  responses,
  STALE,
  text,
  WRITE,
  WRITTEN,
  type ZodRequestTypes,
} from './documents.ts';
import type { Failures } from './failures.ts';
import { taskHandlers } from './task-handlers.ts';

const TASKS = '/api/tasks';
const TASK = `${TASKS}/:task_id`;
const params = z.object({ task_id: TaskId });

const NEXT = { Link: text('The next page, while there is more.', '</api/tasks?limit=50&cursor=WyJ2MSJd>; rel="next"') };

const TASK_LINKS = linksTo(['getTask', 'putTask', 'patchTask', 'deleteTask', 'toggleTask', 'restoreTask'], 'task_id');

const TASK_ID = [
  new AppError('VALIDATION_ERROR', invalidField('task_id', 'Task id must be a UUID')),
  'NOT_FOUND',
] as const;
const BODY = [
  'INVALID_REQUEST',
  new AppError('VALIDATION_ERROR', invalidField('title', 'Title cannot be empty')),
] as const;
const LIMIT_REACHED = new AppError('LIMIT_REACHED', LIMIT);
const CHANGED_SINCE = new AppError('PRECONDITION_FAILED', STALE);

/** The routes of tasks: path, operation, request schemas and responses of each. */
export function mountTaskRoutes(scope: FastifyInstance, tasks: TaskService, failures: Failures): void {
  const app = scope.withTypeProvider<ZodRequestTypes>();
  const handlers = taskHandlers(tasks, TASKS, failures);

  app.get(TASKS, {
    schema: {
      ...operation(
        'listTasks',
        'List your tasks',
        'Without parameters the newest 1000, newest first; with any, a page of those that they ask for, in their order.',
      ),
      querystring: TaskListQuery,
    },
    config: responses(
      IF_NONE_MATCH,
      {
        200: jsonResponse('The tasks.', TaskList, { ...LIST_ETAG, ...NEXT }),
        304: NOT_MODIFIED(LIST_ETAG),
      },
      [new AppError('VALIDATION_ERROR', invalidField('sort', 'Must be one of created_at, -created_at'))],
    ),
    handler: handlers.list,
  });

  app.get(`${TASKS}/counts`, {
    schema: {
      ...operation(
        'countTasks',
        'Count your tasks',
        'Open and completed ones, those due, and the open ones by list and tag.',
      ),
      querystring: TaskCountsQuery,
    },
    config: responses(
      IF_NONE_MATCH,
      { 200: jsonResponse('The counts.', TaskCounts, LIST_ETAG), 304: NOT_MODIFIED(LIST_ETAG) },
      [new AppError('VALIDATION_ERROR', invalidField('time_zone', 'Must be an IANA time zone, as in Europe/Berlin'))],
    ),
    handler: handlers.count,
  });

  app.post(TASKS, {
    schema: {
      ...operation('createTask', 'Create a task', 'A request repeated without its key creates another task.'),
      body: TaskCreate,
    },
    config: responses(
      KEY,
      { 201: jsonResponse('The new task.', Task, { ...location('task'), ...WRITTEN }) },
      [LIMIT_REACHED],
      BODY,
      WRITE,
    ),
    links: { 201: TASK_LINKS },
    handler: handlers.create,
  });

  app.get(TASK, {
    schema: {
      ...operation('getTask', 'Get a task', "Another user's task is not found."),
      params,
    },
    config: responses(IF_NONE_MATCH, { 200: jsonResponse('The task.', Task, ETAG), 304: NOT_MODIFIED(ETAG) }, TASK_ID),
    handler: handlers.get,
  });

  app.put(TASK, {
    schema: {
      ...operation(
        'putTask',
        'Change a task, or create one under your id',
        'Changes only the given fields, as PATCH; with `If-None-Match: *` it creates, and `title` is required.',
      ),
      params,
      body: TaskUpdate,
    },
    config: responses(
      GUARDED.extend(CREATE_ONLY.shape),
      {
        200: jsonResponse('The changed task.', Task, WRITTEN),
        201: jsonResponse('The new task.', Task, { ...location('task'), ...WRITTEN }),
      },
      [...TASK_ID, 'CONFLICT', LIMIT_REACHED],
      [...BODY, CHANGED_SINCE, ...WRITE],
    ),
    handler: handlers.put,
  });

  app.patch(TASK, {
    schema: {
      ...operation(
        'patchTask',
        'Change a task',
        'Changes only the given fields. A recurring task that is completed has a successor, with the next date.',
      ),
      params,
      body: TaskUpdate,
    },
    config: responses(
      GUARDED,
      { 200: jsonResponse('The changed task.', Task, WRITTEN) },
      [...TASK_ID, ...BODY],
      [LIMIT_REACHED, CHANGED_SINCE, ...WRITE],
    ),
    handler: handlers.update,
  });

  app.delete(TASK, {
    schema: {
      ...operation('deleteTask', 'Delete a task', 'It can be restored for some time, unless `permanent=true`.'),
      params,
      querystring: TaskDeletionQuery,
    },
    config: responses(GUARDED, { 200: jsonResponse('Task deleted.', DeletedTask, WRITTEN) }, TASK_ID, [
      CHANGED_SINCE,
      ...WRITE,
    ]),
    handler: handlers.delete,
  });

  app.post(`${TASK}/toggle`, {
    schema: {
      ...operation(
        'toggleTask',
        'Toggle completion',
        'Atomic: concurrent toggles are all applied. A recurring task that is completed has a successor.',
      ),
      params,
      body: TaskToggle,
    },
    config: responses(
      GUARDED,
      { 200: jsonResponse('The changed task.', Task, WRITTEN) },
      [...TASK_ID, 'INVALID_REQUEST', LIMIT_REACHED],
      [CHANGED_SINCE, ...WRITE],
    ),
    handler: handlers.toggle,
  });

  app.post(`${TASK}/restore`, {
    schema: {
      ...operation('restoreTask', 'Restore a deleted task', 'Not found if it is not deleted, or its content is gone.'),
      params,
    },
    config: responses(
      GUARDED,
      { 200: jsonResponse('The task.', Task, WRITTEN) },
      [...TASK_ID, LIMIT_REACHED],
      [CHANGED_SINCE, ...WRITE],
    ),
    handler: handlers.restore,
  });
}
