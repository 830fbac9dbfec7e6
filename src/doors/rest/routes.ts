import type { FastifyInstance, FastifyTypeProvider } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import {
  type DocumentedResponse,
  emptyResponse,
  errorResponses,
  jsonResponse,
  SERVICE_ERRORS,
} from '../../http/openapi.ts';
import { unknownParameter } from '../../http/query.ts';
import {
  DeletedTask,
  EXAMPLE,
  Task,
  TaskCreate,
  TaskDeletionQuery,
  TaskId,
  TaskList,
  TaskListQuery,
  TaskUpdate,
} from '../../tasks/task.ts';
import type { TaskService } from '../../tasks/task-service.ts';
import type { Failures } from './failures.ts';
import { taskHandlers } from './task-handlers.ts';

/** Request types are inferred from the zod schemas. */
export interface ZodRequestTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown;
}

const TASKS = '/api/tasks';
const TASK = `${TASKS}/:task_id`;
const params = z.object({ task_id: TaskId });

const text = (description: string, example?: string) => ({
  type: 'string',
  description,
  ...(example === undefined ? {} : { examples: [example] }),
});
const ETAG = { ETag: text('The version of the task, in double quotes.', '"7"') };
const LIST_ETAG = { ETag: text('Changes with everything that the list shows; opaque.') };
const LOCATION = { Location: text('Path of the new task.') };
export const REPLAYED = { 'Idempotency-Replayed': text('`true` if the request had been executed before.', 'true') };
const WRITTEN = { ...ETAG, ...REPLAYED };

/** Request headers; their values are checked where they are read, for one form of error. */
export const header = (name: string, description: string, example: string) =>
  z.object({
    [name]: z
      .string()
      .optional()
      .meta({ description, examples: [example] }),
  });
const IF_NONE_MATCH = header('If-None-Match', 'Tags that the client has: 304 if one is still right.', '"7"');
const IF_MATCH = header('If-Match', 'The versions on which the write may be made, or `*`: else 412.', '"7"');
export const KEY = header(
  'Idempotency-Key',
  'Unique to this request: sent again within 24 hours with it, it is not executed again. 1 to 255 visible ASCII characters.',
  '5f0c2a8e-1b7d-4a4e-9a51-3d2f1c0b9e8a',
);
const CREATE_ONLY = header('If-None-Match', '`*` creates the task under this id, unless there is one.', '*');
const GUARDED = IF_MATCH.extend(KEY.shape);

/** From the answer of a create to the operations on that task (OpenAPI 3.1, Link Object). */
const TASK_LINKS = Object.fromEntries(
  ['getTask', 'putTask', 'patchTask', 'deleteTask', 'toggleTask', 'restoreTask'].map((operationId) => [
    operationId,
    { operationId, parameters: { task_id: '$response.body#/id' } },
  ]),
);

export const invalidField = (field: string, message: string) =>
  new AppError('VALIDATION_ERROR', { details: [{ field, message }] });

/** The errors that a route can respond with, beside those of every route. */
const TOKEN = ['UNAUTHORIZED', 'INVALID_TOKEN', 'TOKEN_EXPIRED', 'RATE_LIMITED'] as const;
const QUERY = [invalidField('limit', unknownParameter())] as const;
const DATABASE = ['DATABASE_ERROR', 'SERVICE_UNAVAILABLE'] as const;
const TASK_ID = [invalidField('task_id', 'Task id must be a UUID'), 'NOT_FOUND'] as const;
const BODY = ['INVALID_REQUEST', invalidField('title', 'Title cannot be empty')] as const;
export const LIMIT = [new AppError('LIMIT_REACHED', { message: 'The limit of 100000 tasks is reached' })];
/** Methods other than GET read the body, even if they ignore it. */
export const WRITE = ['PAYLOAD_TOO_LARGE', 'IDEMPOTENCY_MISMATCH'] as const;
export const STALE = [new AppError('PRECONDITION_FAILED', { current: JSON.stringify(EXAMPLE) })];

export const operation = (operationId: string, summary: string, description: string) => ({
  operationId,
  summary,
  description,
  tags: ['Tasks'],
});

export const responses = (
  requestHeaders: z.ZodObject,
  success: Readonly<Record<number, DocumentedResponse>>,
  ...errors: Parameters<typeof errorResponses>[0][]
) => ({
  requestHeaders,
  responses: { ...success, ...errorResponses([...SERVICE_ERRORS, ...TOKEN, ...QUERY, ...DATABASE, ...errors.flat()]) },
});

const NOT_MODIFIED = (headers: DocumentedResponse['headers']) => emptyResponse('The client has it already.', headers);

/** The REST API: path, operation, request schemas and responses of every route. */
export function mountRoutes(scope: FastifyInstance, tasks: TaskService, failures: Failures): void {
  const app = scope.withTypeProvider<ZodRequestTypes>();
  const handlers = taskHandlers(tasks, TASKS, failures);

  app.get(TASKS, {
    schema: {
      ...operation('listTasks', 'List your tasks', "The user's newest 1000 tasks, newest first."),
      querystring: TaskListQuery,
    },
    config: responses(IF_NONE_MATCH, {
      200: jsonResponse('The tasks.', TaskList, LIST_ETAG),
      304: NOT_MODIFIED(LIST_ETAG),
    }),
    handler: handlers.list,
  });

  app.post(TASKS, {
    schema: {
      ...operation('createTask', 'Create a task', 'A request repeated without its key creates another task.'),
      body: TaskCreate,
    },
    config: responses(
      KEY,
      { 201: jsonResponse('The new task.', Task, { ...LOCATION, ...WRITTEN }) },
      LIMIT,
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
        201: jsonResponse('The new task.', Task, { ...LOCATION, ...WRITTEN }),
      },
      [...TASK_ID, 'CONFLICT', ...LIMIT],
      [...BODY, ...STALE, ...WRITE],
    ),
    handler: handlers.put,
  });

  app.patch(TASK, {
    schema: {
      ...operation('patchTask', 'Change a task', 'Changes only the given fields.'),
      params,
      body: TaskUpdate,
    },
    config: responses(
      GUARDED,
      { 200: jsonResponse('The changed task.', Task, WRITTEN) },
      [...TASK_ID, ...BODY],
      [...STALE, ...WRITE],
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
      ...STALE,
      ...WRITE,
    ]),
    handler: handlers.delete,
  });

  app.post(`${TASK}/toggle`, {
    schema: {
      ...operation('toggleTask', 'Toggle completion', 'Atomic: concurrent toggles are all applied.'),
      params,
    },
    config: responses(GUARDED, { 200: jsonResponse('The changed task.', Task, WRITTEN) }, TASK_ID, [
      ...STALE,
      ...WRITE,
    ]),
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
      [...TASK_ID, ...LIMIT],
      [...STALE, ...WRITE],
    ),
    handler: handlers.restore,
  });
}
