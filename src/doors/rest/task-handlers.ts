import type { FastifyReply } from 'fastify';
import { principalOf } from '../../http/authenticate.ts';
import { JSON_TYPE } from '../../http/error-reply.ts';
import { DeletedTask, type NewTask, type TaskChange, type TaskId } from '../../tasks/task.ts';
import type { TaskService } from '../../tasks/task-service.ts';

type Request = Parameters<typeof principalOf>[0];
type TaskRequest = Request & { readonly params: { readonly task_id: TaskId } };

/** Handlers of the task routes. Tasks are sent as the JSON text returned by the task service, unchanged. */
export function taskHandlers(tasks: TaskService, path: string) {
  return {
    list: (request: Request, reply: FastifyReply) => {
      void reply.type(JSON_TYPE);
      return tasks.list(principalOf(request));
    },

    get: (request: TaskRequest, reply: FastifyReply) => {
      void reply.type(JSON_TYPE);
      return tasks.get(principalOf(request), request.params.task_id);
    },

    create: async (request: Request & { readonly body: NewTask }, reply: FastifyReply) => {
      const { id, task } = await tasks.create(principalOf(request), request.body);
      void reply.code(201).header('location', `${path}/${id}`).type(JSON_TYPE);
      return task;
    },

    update: (request: TaskRequest & { readonly body: TaskChange }, reply: FastifyReply) => {
      void reply.type(JSON_TYPE);
      return tasks.update(principalOf(request), request.params.task_id, request.body);
    },

    toggle: (request: TaskRequest, reply: FastifyReply) => {
      void reply.type(JSON_TYPE);
      return tasks.toggle(principalOf(request), request.params.task_id);
    },

    delete: async (request: TaskRequest) => {
      const id = await tasks.delete(principalOf(request), request.params.task_id);
      return { message: DeletedTask.shape.message.value, id };
    },
  };
}
