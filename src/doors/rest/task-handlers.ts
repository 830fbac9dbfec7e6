import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../core/errors.ts';
import { principalOf } from '../../http/authenticate.ts';
import { expectedVersions, isKnown, knownTags, mustCreate } from '../../http/conditional.ts';
import { JSON_TYPE } from '../../http/error-reply.ts';
import { retryOf } from '../../http/idempotency-key.ts';
import { DELETED_MESSAGE, LIST_REVISION, TaskCreate, type TaskId, type TaskUpdate } from '../../tasks/task.ts';
import type { TaskListResult, TaskService, WriteResult } from '../../tasks/task-service.ts';
import type { Failures } from './failures.ts';

type Request = Pick<FastifyRequest, keyof FastifyRequest>;
type TaskRequest = Request & { readonly params: { readonly task_id: TaskId } };
type With<Body> = { readonly body: Body };

/** `value` if the query parameter is `true`; the schema allows no other than `true` and `false`. */
const isTrue = (value: 'true' | 'false' | undefined) => value === 'true';

const guardOf = (request: Request) => ({ expected: expectedVersions(request), retry: retryOf(request) });

const tagOf = (version: number) => `"${version}"`;

/** Handlers of the task routes. Tasks are sent as the JSON text returned by the task service, unchanged. */
export function taskHandlers(tasks: TaskService, path: string, failures: Failures) {
  /** The list with an entity tag of its state; 304 if the client has it. */
  const sendList = async (
    request: Request,
    reply: FastifyReply,
    view: string,
    list: (known: string | null) => Promise<TaskListResult>,
  ) => {
    const known = knownTags(request);
    const prefix = `${LIST_REVISION}.${view}.`;
    const knownState = known === '*' ? undefined : known.find((tag) => tag.startsWith(prefix))?.slice(prefix.length);
    const { state, json } = await list(knownState ?? null);
    void reply.header('etag', `"${prefix}${state}"`);
    if (json === null || isKnown(known, prefix + state)) return reply.code(304).send();
    return reply.type(JSON_TYPE).send(json);
  };

  /** The task that was written, or the error of an outcome that is none. */
  const sendWritten = async (reply: FastifyReply, written: Promise<WriteResult>) => {
    const { outcome, isReplayed } = await written;
    if (isReplayed) void reply.header('idempotency-replayed', 'true');
    const { kind, id, version, json } = outcome;
    if (version !== null) void reply.header('etag', tagOf(version));
    if (kind === 'deleted') return { message: DELETED_MESSAGE, id };
    if ((kind !== 'created' && kind !== 'changed') || json === null) throw failures(outcome);
    if (kind === 'created') void reply.code(201).header('location', `${path}/${id}`);
    return reply.type(JSON_TYPE).send(json);
  };

  const update = (request: TaskRequest & With<TaskUpdate>, reply: FastifyReply) =>
    sendWritten(reply, tasks.update(principalOf(request), request.params.task_id, request.body, guardOf(request)));

  return {
    list: (
      request: Request & { readonly query: { readonly deleted?: 'true' | 'false' | undefined } },
      reply: FastifyReply,
    ) => {
      const user = principalOf(request);
      return isTrue(request.query.deleted)
        ? sendList(request, reply, 'deleted', (known) => tasks.listDeleted(user, known))
        : sendList(request, reply, 'newest', (known) => tasks.list(user, known));
    },

    get: async (request: TaskRequest, reply: FastifyReply) => {
      const known = knownTags(request);
      const { version, json } = await tasks.get(principalOf(request), request.params.task_id);
      void reply.header('etag', tagOf(version));
      return isKnown(known, String(version)) ? reply.code(304).send() : reply.type(JSON_TYPE).send(json);
    },

    create: (request: Request & With<TaskCreate>, reply: FastifyReply) =>
      sendWritten(reply, tasks.create(principalOf(request), request.body, retryOf(request))),

    update,

    /** With `If-None-Match: *` a create under the client's id. */
    put: (request: TaskRequest & With<TaskUpdate>, reply: FastifyReply) => {
      if (!mustCreate(request)) return update(request, reply);
      const { data: task, error } = TaskCreate.safeParse(request.body);
      if (task === undefined) {
        const details = error.issues.map(({ path: field, message }) => ({ field: field.join('.'), message }));
        throw new AppError('VALIDATION_ERROR', { details });
      }
      const created = tasks.createAs(principalOf(request), request.params.task_id, task, retryOf(request));
      return sendWritten(reply, created);
    },

    toggle: (request: TaskRequest, reply: FastifyReply) =>
      sendWritten(reply, tasks.toggle(principalOf(request), request.params.task_id, guardOf(request))),

    restore: (request: TaskRequest, reply: FastifyReply) =>
      sendWritten(reply, tasks.restore(principalOf(request), request.params.task_id, guardOf(request))),

    delete: (
      request: TaskRequest & { readonly query: { readonly permanent?: 'true' | 'false' | undefined } },
      reply: FastifyReply,
    ) => {
      const [user, id] = [principalOf(request), request.params.task_id];
      const deleted = isTrue(request.query.permanent)
        ? tasks.deletePermanently(user, id, guardOf(request))
        : tasks.delete(user, id, guardOf(request));
      return sendWritten(reply, deleted);
    },
  };
}
