import { createHash } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import { AppError } from '../../core/errors.ts';
import { principalOf } from '../../http/authenticate.ts';
import { mustCreate } from '../../http/conditional.ts';
import { retryOf } from '../../http/idempotency-key.ts';
import {
  LIST_DELETED_MESSAGE,
  List,
  type ListCreate,
  type ListId,
  type ListUpdate,
  type TasksOfDeleted,
} from '../../lists/list.ts';
import type { ListService } from '../../lists/list-service.ts';
import { guardOf, type Request, sendListed, sendOne, type With, writtenSender } from './answers.ts';
import type { Failures } from './failures.ts';

type ListRequest = Request & { readonly params: { readonly list_id: ListId } };

/** Changes whenever the fields of a list do: part of the entity tag. */
const REVISION = createHash('sha256').update(Object.keys(List.shape).join()).digest('hex').slice(0, 6);

/** Handlers of the list routes. Lists are sent as the JSON text returned by the list service, unchanged. */
export function listHandlers(lists: ListService, path: string, failures: Failures) {
  const sendWritten = writtenSender({ path, deletedMessage: LIST_DELETED_MESSAGE, failures });

  const update = (request: ListRequest & With<ListUpdate>, reply: FastifyReply) =>
    sendWritten(reply, lists.update(principalOf(request), request.params.list_id, request.body, guardOf(request)));

  return {
    list: (request: Request, reply: FastifyReply) =>
      sendListed(request, reply, `${REVISION}.lists`, (known) => lists.list(principalOf(request), known)),

    get: (request: ListRequest, reply: FastifyReply) =>
      sendOne(request, reply, () => lists.get(principalOf(request), request.params.list_id)),

    create: (request: Request & With<ListCreate>, reply: FastifyReply) =>
      sendWritten(reply, lists.create(principalOf(request), request.body, retryOf(request))),

    update,

    /** With `If-None-Match: *` a create under the client's id. */
    put: (request: ListRequest & With<ListUpdate>, reply: FastifyReply) => {
      if (!mustCreate(request)) return update(request, reply);
      const { name, ...rest } = request.body;
      if (name === undefined) {
        const details = [{ field: 'name', message: 'Name is required and cannot be empty' }];
        throw new AppError('VALIDATION_ERROR', { details });
      }
      const list = { name, ...rest };
      const created = lists.createAs(principalOf(request), request.params.list_id, list, retryOf(request));
      return sendWritten(reply, created);
    },

    delete: (
      request: ListRequest & { readonly query: { readonly tasks?: TasksOfDeleted | undefined } },
      reply: FastifyReply,
    ) => {
      const { tasks = 'inbox' } = request.query;
      const deleted = lists.delete(principalOf(request), request.params.list_id, tasks, guardOf(request));
      return sendWritten(reply, deleted);
    },
  };
}
