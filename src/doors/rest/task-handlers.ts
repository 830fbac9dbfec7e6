import type { FastifyReply } from 'fastify';
import { principalOf } from '../../http/authenticate.ts';
import { JSON_TYPE } from '../../http/error-reply.ts';
import { DELETED_MESSAGE, type TaskCreate, type TaskId, type TaskUpdate } from '../../tasks/task.ts';
import type { TaskService } from '../../tasks/task-service.ts';

type Request = Parameters<typeof principalOf>[0];
type TaskRequest = Request & { readonly params: { readonly task_id: TaskId } };

/** Handlers of the task routes. Tasks are sent as the JSON text returned by the task service, unchanged. */
export function taskHandlers(tasks: TaskService, path: string) {
  const send = async <Json extends string | Buffer>(reply: FastifyReply, answer: Promise<{ readonly json: Json }>) => {
    void reply.type(JSON_TYPE);
    return (await answer).json;
  };

  return {
    list: (request: Request, reply: FastifyReply) => send(reply, tasks.list(principalOf(request))),

    get: (request: TaskRequest, reply: FastifyReply) =>
      send(reply, tasks.get(principalOf(request), request.params.task_id)),

    create: async (request: Request & { readonly body: TaskCreate }, reply: FastifyReply) => {
      const { id, json } = await tasks.create(principalOf(request), request.body);
      void reply.code(201).header('location', `${path}/${id}`).type(JSON_TYPE);
      return json;
    },

    update: (request: TaskRequest & { readonly body: TaskUpdate }, reply: FastifyReply) =>
      send(reply, tasks.update(principalOf(request), request.params.task_id, request.body)),

    toggle: (request: TaskRequest, reply: FastifyReply) =>
      send(reply, tasks.toggle(principalOf(request), request.params.task_id)),

    delete: async (request: TaskRequest) => {
      const { id } = await tasks.delete(principalOf(request), request.params.task_id);
      return { message: DELETED_MESSAGE, id };
    },
  };
}
