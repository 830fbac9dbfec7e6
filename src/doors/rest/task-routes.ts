import type { FastifyInstance, FastifyTypeProvider } from 'fastify';
import { z } from 'zod';
import { principalOf } from '../../http/authenticate.ts';
import { JSON_TYPE } from '../../http/error-reply.ts';
import { errorResponses, jsonResponse, SERVICE_ERRORS } from '../../http/openapi.ts';
import { DeletedTask, NewTask, Task, TaskChange, TaskId, TaskList } from '../../tasks/task.ts';
import type { TaskService } from '../../tasks/task-service.ts';

const TASKS = '/api/tasks';
const ONE_TASK = `${TASKS}/:task_id`;

const params = z.object({ task_id: TaskId });
const tags = ['Tasks'];
const ALWAYS = [...SERVICE_ERRORS, 401, 429, 503] as const;
/** Methods other than GET read the body, even if they ignore it. */
const BODY_READ = [...ALWAYS, 413] as const;
const changeErrors = errorResponses([...BODY_READ, 404]);
const changedTask = (description: string) => ({ 200: jsonResponse(description, Task), ...changeErrors });

/** Request types are inferred from the zod schemas; responses are JSON text already. */
interface SchemaTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown;
}

/** The task routes. Responses are the JSON text returned by the task service, unchanged. */
export function taskRoutes(scope: FastifyInstance, tasks: TaskService): void {
  const app = scope.withTypeProvider<SchemaTypes>();

  app.get(
    TASKS,
    {
      schema: {
        tags,
        summary: 'List your tasks',
        description: "The user's newest 1000 tasks, newest first.",
        operationId: 'listTasks',
        response: { 200: jsonResponse('The tasks.', TaskList), ...errorResponses(ALWAYS) },
      },
    },
    async (request, reply) => reply.type(JSON_TYPE).send(await tasks.list(principalOf(request))),
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
    async (request, reply) => reply.type(JSON_TYPE).send(await tasks.get(principalOf(request), request.params.task_id)),
  );

  app.post(
    TASKS,
    {
      schema: {
        tags,
        summary: 'Create a task',
        operationId: 'createTask',
        body: NewTask,
        response: { 201: jsonResponse('The new task.', Task), ...errorResponses(BODY_READ) },
      },
    },
    async (request, reply) => {
      const created = await tasks.create(principalOf(request), request.body);
      return reply.code(201).header('location', `${TASKS}/${created.id}`).type(JSON_TYPE).send(created.task);
    },
  );

  for (const method of ['PUT', 'PATCH'] as const) {
    app.route({
      method,
      url: ONE_TASK,
      schema: {
        tags,
        summary: 'Change a task',
        description: 'Changes only the given fields. PUT and PATCH are equivalent.',
        operationId: method === 'PUT' ? 'putTask' : 'patchTask',
        params,
        body: TaskChange,
        response: changedTask('The changed task.'),
      },
      handler: async (request, reply) => {
        const changed = await tasks.update(principalOf(request), request.params.task_id, request.body);
        return reply.type(JSON_TYPE).send(changed);
      },
    });
  }

  app.post(
    `${ONE_TASK}/toggle`,
    {
      schema: {
        tags,
        summary: 'Toggle completion',
        description: 'Atomic: concurrent toggles are all applied.',
        operationId: 'toggleTask',
        params,
        response: changedTask('The changed task.'),
      },
    },
    async (request, reply) =>
      reply.type(JSON_TYPE).send(await tasks.toggle(principalOf(request), request.params.task_id)),
  );

  app.delete(
    ONE_TASK,
    {
      schema: {
        tags,
        summary: 'Delete a task',
        operationId: 'deleteTask',
        params,
        response: { 200: jsonResponse('Task deleted.', DeletedTask), ...changeErrors },
      },
    },
    async (request) => {
      const id = await tasks.delete(principalOf(request), request.params.task_id);
      return { message: 'Task deleted successfully', id } as const;
    },
  );
}
