import type { FastifyInstance, FastifyTypeProvider } from 'fastify';
import { z } from 'zod';
import { principalOf } from '../../http/authenticate.ts';
import { JSON_TYPE } from '../../http/error-reply.ts';
import { errorResponses, jsonResponse, SERVICE_ERRORS } from '../../http/openapi.ts';
import { DELETED_MESSAGE, DeletedTask, Task, TaskCreate, TaskId, TaskList, TaskUpdate } from '../../tasks/task.ts';
import type { TaskService } from '../../tasks/task-service.ts';

const TASKS = '/api/tasks';
const ONE_TASK = `${TASKS}/:task_id`;

const params = z.object({ task_id: TaskId });
const tags = ['Tasks'];
const ALWAYS = [...SERVICE_ERRORS, 401, 429, 503] as const;
/** The body of whatever is not a GET is read, if only to be thrown away: it can be too large. */
const BODY_READ = [...ALWAYS, 413] as const;
const changeErrors = errorResponses([...BODY_READ, 404]);
const changedTask = (description: string) => ({ 200: jsonResponse(description, Task), ...changeErrors });

/** Requests have the types that their schemas prove; answers are JSON text already. */
interface SchemaTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown;
}

/** The task routes of the contract. Answers leave as the JSON text that the use cases give. */
export function taskRoutes(scope: FastifyInstance, tasks: TaskService): void {
  const app = scope.withTypeProvider<SchemaTypes>();

  app.get(
    TASKS,
    {
      schema: {
        tags,
        summary: 'List your tasks',
        description: 'The newest 1000, newest first.',
        operationId: 'listTasks',
        response: { 200: jsonResponse('Your tasks.', TaskList), ...errorResponses(ALWAYS) },
      },
    },
    async (request, reply) => reply.type(JSON_TYPE).send((await tasks.list(principalOf(request))).json),
  );

  app.get(
    ONE_TASK,
    {
      schema: {
        tags,
        summary: 'Get a task',
        operationId: 'getTask',
        params,
        response: { 200: jsonResponse('The task.', Task), ...errorResponses([...ALWAYS, 404]) },
      },
    },
    async (request, reply) =>
      reply.type(JSON_TYPE).send((await tasks.get(principalOf(request), request.params.task_id)).json),
  );

  app.post(
    TASKS,
    {
      schema: {
        tags,
        summary: 'Create a task',
        operationId: 'createTask',
        body: TaskCreate,
        response: { 201: jsonResponse('The new task.', Task), ...errorResponses(BODY_READ) },
      },
    },
    async (request, reply) => {
      const created = await tasks.create(principalOf(request), request.body);
      return reply.code(201).header('location', `${TASKS}/${created.id}`).type(JSON_TYPE).send(created.json);
    },
  );

  for (const method of ['PUT', 'PATCH'] as const) {
    app.route({
      method,
      url: ONE_TASK,
      schema: {
        tags,
        summary: 'Change a task',
        description: 'Changes the fields that are given; PUT and PATCH do the same.',
        operationId: method === 'PUT' ? 'putTask' : 'patchTask',
        params,
        body: TaskUpdate,
        response: changedTask('The changed task.'),
      },
      handler: async (request, reply) => {
        const changed = await tasks.update(principalOf(request), request.params.task_id, request.body);
        return reply.type(JSON_TYPE).send(changed.json);
      },
    });
  }

  app.post(
    `${ONE_TASK}/toggle`,
    {
      schema: {
        tags,
        summary: 'Flip whether a task is completed',
        description: 'Atomic: of toggles at the same time none is lost.',
        operationId: 'toggleTask',
        params,
        response: changedTask('The flipped task.'),
      },
    },
    async (request, reply) =>
      reply.type(JSON_TYPE).send((await tasks.toggle(principalOf(request), request.params.task_id)).json),
  );

  app.delete(
    ONE_TASK,
    {
      schema: {
        tags,
        summary: 'Delete a task',
        operationId: 'deleteTask',
        params,
        response: { 200: jsonResponse('The task is gone.', DeletedTask), ...changeErrors },
      },
    },
    async (request) => {
      const { id } = await tasks.delete(principalOf(request), request.params.task_id);
      return { message: DELETED_MESSAGE, id } as const;
    },
  );
}
