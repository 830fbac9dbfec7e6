import type { FastifyInstance, FastifyTypeProvider } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { type DocumentedResponse, errorResponses, jsonResponse, SERVICE_ERRORS } from '../../http/openapi.ts';
import { unknownParameter } from '../../http/query.ts';
import { DeletedTask, Task, TaskCreate, TaskId, TaskList, TaskUpdate } from '../../tasks/task.ts';
import type { TaskService } from '../../tasks/task-service.ts';
import { taskHandlers } from './task-handlers.ts';

/** Request types are inferred from the zod schemas. */
interface ZodRequestTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown;
}

const TASKS = '/api/tasks';
const TASK = `${TASKS}/:task_id`;
const LOCATION = { Location: { type: 'string', description: 'Path of the new task.' } };
const params = z.object({ task_id: TaskId });

/** From the answer of a create to the operations on that task (OpenAPI 3.1, Link Object). */
const TASK_LINKS = Object.fromEntries(
  ['getTask', 'putTask', 'patchTask', 'deleteTask', 'toggleTask'].map((operationId) => [
    operationId,
    { operationId, parameters: { task_id: '$response.body#/id' } },
  ]),
);

const invalidField = (field: string, message: string) =>
  new AppError('VALIDATION_ERROR', { details: [{ field, message }] });

/** The errors that a route can respond with, beside those of every route. */
const TOKEN = ['UNAUTHORIZED', 'INVALID_TOKEN', 'TOKEN_EXPIRED', 'RATE_LIMITED'] as const;
const QUERY = [invalidField('limit', unknownParameter())] as const;
const DATABASE = ['DATABASE_ERROR', 'SERVICE_UNAVAILABLE'] as const;
const TASK_ID = [invalidField('task_id', 'Task id must be a UUID'), 'NOT_FOUND'] as const;
const BODY = ['INVALID_REQUEST', invalidField('title', 'Title cannot be empty')] as const;
const LIMIT = [new AppError('LIMIT_REACHED', { message: 'The limit of 100000 tasks is reached' })];
/** Methods other than GET read the body, even if they ignore it. */
const BODY_SIZE = ['PAYLOAD_TOO_LARGE'] as const;

const operation = (operationId: string, summary: string, description: string) => ({
  operationId,
  summary,
  description,
  tags: ['Tasks'],
});

const responses = (
  success: Readonly<Record<number, DocumentedResponse>>,
  ...errors: Parameters<typeof errorResponses>[0][]
) => ({
  responses: { ...success, ...errorResponses([...SERVICE_ERRORS, ...TOKEN, ...QUERY, ...DATABASE, ...errors.flat()]) },
});

/** The REST API: path, operation, request schemas and responses of every route. */
export function mountRoutes(scope: FastifyInstance, tasks: TaskService): void {
  const app = scope.withTypeProvider<ZodRequestTypes>();
  const handlers = taskHandlers(tasks, TASKS);

  app.get(TASKS, {
    schema: operation('listTasks', 'List your tasks', "The user's newest 1000 tasks, newest first."),
    config: responses({ 200: jsonResponse('The tasks.', TaskList) }),
    handler: handlers.list,
  });

  app.post(TASKS, {
    schema: {
      ...operation('createTask', 'Create a task', 'A repeated request creates another task.'),
      body: TaskCreate,
    },
    config: responses({ 201: jsonResponse('The new task.', Task, LOCATION) }, LIMIT, BODY, BODY_SIZE),
    links: { 201: TASK_LINKS },
    handler: handlers.create,
  });

  app.get(TASK, {
    schema: { ...operation('getTask', 'Get a task', "Another user's task is not found."), params },
    config: responses({ 200: jsonResponse('The task.', Task) }, TASK_ID),
    handler: handlers.get,
  });

  for (const [method, operationId] of [
    ['PUT', 'putTask'],
    ['PATCH', 'patchTask'],
  ] as const) {
    app.route({
      method,
      url: TASK,
      schema: {
        ...operation(operationId, 'Change a task', 'Changes only the given fields. PUT and PATCH are equivalent.'),
        params,
        body: TaskUpdate,
      },
      config: responses({ 200: jsonResponse('The changed task.', Task) }, TASK_ID, BODY, BODY_SIZE),
      handler: handlers.update,
    });
  }

  app.delete(TASK, {
    schema: { ...operation('deleteTask', 'Delete a task', 'At once and for good.'), params },
    config: responses({ 200: jsonResponse('Task deleted.', DeletedTask) }, TASK_ID, BODY_SIZE),
    handler: handlers.delete,
  });

  app.post(`${TASK}/toggle`, {
    schema: { ...operation('toggleTask', 'Toggle completion', 'Atomic: concurrent toggles are all applied.'), params },
    config: responses({ 200: jsonResponse('The changed task.', Task) }, TASK_ID, BODY_SIZE),
    handler: handlers.toggle,
  });
}
