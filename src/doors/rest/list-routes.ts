import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { jsonResponse } from '../../http/openapi.ts';
import {
  DeletedList,
  INVALID_LIST_ID,
  LIST_EXAMPLE,
  List,
  ListCreate,
  ListDeletionQuery,
  ListId,
  Lists,
  ListUpdate,
  MAX_LISTS,
} from '../../lists/list.ts';
import type { ListService } from '../../lists/list-service.ts';
import {
  CREATE_ONLY,
  ETAG,
  GUARDED,
  IF_NONE_MATCH,
  invalidField,
  KEY,
  LIST_ETAG,
  linksTo,
  location,
  NOT_MODIFIED,
  operation,
  responses,
  WRITE,
  WRITTEN,
  type ZodRequestTypes,
} from './documents.ts';
import { changedSince, type Failures, idTaken, limitReached } from './failures.ts';
import { listHandlers } from './list-handlers.ts';

const LISTS = '/api/lists';
const LIST = `${LISTS}/:list_id`;
const params = z.object({ list_id: ListId });

const documented = (operationId: string, summary: string, description: string) => ({
  ...operation(operationId, summary, description),
  tags: ['Lists'],
});

const LIST_ID = [
  new AppError('VALIDATION_ERROR', invalidField('list_id', INVALID_LIST_ID)),
  new AppError('NOT_FOUND', { message: 'List not found' }),
] as const;
const BODY = [
  'INVALID_REQUEST',
  new AppError('VALIDATION_ERROR', invalidField('name', 'Name cannot be empty')),
] as const;
const LIMIT_REACHED = new AppError('LIMIT_REACHED', { message: limitReached('list', MAX_LISTS) });
const CHANGED_SINCE = new AppError('PRECONDITION_FAILED', {
  message: changedSince('list'),
  current: JSON.stringify(LIST_EXAMPLE),
});
const ID_TAKEN = new AppError('CONFLICT', { message: idTaken('list') });
const CREATED = { ...location('list'), ...WRITTEN };

/** The routes of lists: path, operation, request schemas and responses of each. */
export function mountListRoutes(scope: FastifyInstance, lists: ListService, failures: Failures): void {
  const app = scope.withTypeProvider<ZodRequestTypes>();
  const handlers = listHandlers(lists, LISTS, failures);

  app.get(LISTS, {
    schema: documented('listLists', 'List your lists', `All of them, at most ${MAX_LISTS}, by position.`),
    config: responses(IF_NONE_MATCH, {
      200: jsonResponse('The lists.', Lists, LIST_ETAG),
      304: NOT_MODIFIED(LIST_ETAG),
    }),
    handler: handlers.list,
  });

  app.post(LISTS, {
    schema: {
      ...documented('createList', 'Create a list', 'A request repeated without its key creates another list.'),
      body: ListCreate,
    },
    config: responses(KEY, { 201: jsonResponse('The new list.', List, CREATED) }, [LIMIT_REACHED], BODY, WRITE),
    links: { 201: linksTo(['getList', 'putList', 'patchList', 'deleteList'], 'list_id') },
    handler: handlers.create,
  });

  app.get(LIST, {
    schema: { ...documented('getList', 'Get a list', "Another user's list is not found."), params },
    config: responses(IF_NONE_MATCH, { 200: jsonResponse('The list.', List, ETAG), 304: NOT_MODIFIED(ETAG) }, LIST_ID),
    handler: handlers.get,
  });

  app.put(LIST, {
    schema: {
      ...documented(
        'putList',
        'Change a list, or create one under your id',
        'Changes only the given fields, as PATCH; with `If-None-Match: *` it creates, and `name` is required.',
      ),
      params,
      body: ListUpdate,
    },
    config: responses(
      GUARDED.extend(CREATE_ONLY.shape),
      {
        200: jsonResponse('The changed list.', List, WRITTEN),
        201: jsonResponse('The new list.', List, CREATED),
      },
      [...LIST_ID, ID_TAKEN, LIMIT_REACHED],
      [...BODY, CHANGED_SINCE, ...WRITE],
    ),
    handler: handlers.put,
  });

  app.patch(LIST, {
    schema: { ...documented('patchList', 'Change a list', 'Changes only the given fields.'), params, body: ListUpdate },
    config: responses(
      GUARDED,
      { 200: jsonResponse('The changed list.', List, WRITTEN) },
      [...LIST_ID, ...BODY],
      [CHANGED_SINCE, ...WRITE],
    ),
    handler: handlers.update,
  });

  app.delete(LIST, {
    schema: {
      ...documented('deleteList', 'Delete a list', 'It cannot be restored; its tasks go to the inbox, or are deleted.'),
      params,
      querystring: ListDeletionQuery,
    },
    config: responses(GUARDED, { 200: jsonResponse('List deleted.', DeletedList, WRITTEN) }, LIST_ID, [
      CHANGED_SINCE,
      ...WRITE,
    ]),
    handler: handlers.delete,
  });
}
