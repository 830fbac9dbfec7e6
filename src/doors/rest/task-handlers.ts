import type { FastifyReply } from 'fastify';
import { AppError } from '../../core/errors.ts';
import { principalOf } from '../../http/authenticate.ts';
import { mustCreate } from '../../http/conditional.ts';
import { retryOf } from '../../http/idempotency-key.ts';
import type { TaskCountsQuery, TaskListQuery } from '../../tasks/list-query.ts';
import {
  DELETED_MESSAGE,
  LIST_REVISION,
  TaskCreate,
  type TaskId,
  type TaskToggle,
  type TaskUpdate,
} from '../../tasks/task.ts';
import type { TaskService } from '../../tasks/task-service.ts';
import { guardOf, type Request, sendListed, sendOne, type With, writtenSender } from './answers.ts';
import type { Failures } from './failures.ts';

type TaskRequest = Request & { readonly params: { readonly task_id: TaskId } };

/** `value` if the query parameter is `true`; the schema allows no other than `true` and `false`. */
const isTrue = (value: 'true' | 'false' | undefined) => value === 'true';

/** The address of the page at `cursor` of the list that was requested (RFC 8288). */
function linkTo(path: string, url: string, cursor: string): string {
  const query = new URLSearchParams(url.split('?')[1]);
  query.set('cursor', cursor);
  return `<${path}?${query.toString()}>; rel="next"`;
}

/** Handlers of the task routes. Tasks are sent as the JSON text returned by the task service, unchanged. */
export function taskHandlers(tasks: TaskService, path: string, failures: Failures) {
  const sendWritten = writtenSender({ path, deletedMessage: DELETED_MESSAGE, failures });
  const viewOf = (view: string) => `${LIST_REVISION}.${view}`;

  const update = (request: TaskRequest & With<TaskUpdate>, reply: FastifyReply) =>
    sendWritten(reply, tasks.update(principalOf(request), request.params.task_id, request.body, guardOf(request)));

  return {
    list: async (request: Request & { readonly query: TaskListQuery }, reply: FastifyReply) => {
      const user = principalOf(request);
      const { deleted, ...query } = request.query;
      if (isTrue(deleted)) {
        return sendListed(request, reply, viewOf('deleted'), (known) => tasks.listDeleted(user, known));
      }
      if (Object.keys(query).length === 0) {
        return sendListed(request, reply, viewOf('newest'), (known) => tasks.list(user, known));
      }
      const page = tasks.page(query);
      return sendListed(request, reply, viewOf(page.view), async (known) => {
        const { nextCursor, ...list } = await tasks.listPage(user, page, known);
        if (nextCursor !== null) void reply.header('link', linkTo(path, request.url, nextCursor));
        return list;
      });
    },

    count: (request: Request & { readonly query: TaskCountsQuery }, reply: FastifyReply) => {
      const user = principalOf(request);
      const day = tasks.dayOf(request.query);
      return sendListed(request, reply, viewOf(`counts.${day}`), (known) => tasks.count(user, day, known));
    },

    get: (request: TaskRequest, reply: FastifyReply) =>
      sendOne(request, reply, () => tasks.get(principalOf(request), request.params.task_id)),

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

    toggle: (request: TaskRequest & With<TaskToggle>, reply: FastifyReply) =>
      sendWritten(reply, tasks.toggle(principalOf(request), request.params.task_id, request.body, guardOf(request))),

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
