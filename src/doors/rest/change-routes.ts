import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { Changes, ChangesQuery, EVENTS_EXAMPLE, EventsQuery, INVALID_CURSOR } from '../../changes/change.ts';
import type { ChangeFeed } from '../../changes/feed.ts';
import { AppError } from '../../core/errors.ts';
import type { EventStreams } from '../../http/event-stream.ts';
import { jsonResponse, streamResponse } from '../../http/openapi.ts';
import { changeHandlers } from './change-handlers.ts';
import { header, invalidField, operation, responses, type ZodRequestTypes } from './documents.ts';

const CURSOR = ['CURSOR_EXPIRED', new AppError('VALIDATION_ERROR', invalidField('cursor', INVALID_CURSOR))] as const;
const NO_HEADERS = z.object({});
const LAST_EVENT_ID = header(
  'Last-Event-ID',
  'The `id` of the last event received, as browsers send it; wins over `cursor`.',
);

const CHANGES = `What has changed since \`cursor\`, by version; without one everything that is there. Ask again with the
  \`cursor\` of the answer. After 410 start again without one, and drop what you have.`;
const EVENTS = `Server-Sent Events: \`change\` with a change as in /api/changes, and as \`id\` a cursor; \`synced\` once all that
  was missed has been sent; \`close\` with the reason, before the service ends the stream. Without a cursor everything that is
  there comes first. A comment with the current version is sent every 15 seconds.`;

const hasWait = (query: unknown) => typeof query === 'object' && query !== null && 'wait' in query;

/** The routes of the changes and of the event stream. */
export function mountChangeRoutes(scope: FastifyInstance, changes: ChangeFeed, streams: EventStreams): void {
  const app = scope.withTypeProvider<ZodRequestTypes>();
  const handlers = changeHandlers(changes, streams);

  app.get('/api/changes', {
    schema: { ...operation('listChanges', 'List changes', CHANGES), querystring: ChangesQuery },
    config: { ...responses(NO_HEADERS, { 200: jsonResponse('The changes.', Changes) }, CURSOR), isLong: hasWait },
    handler: handlers.list,
  });

  app.get('/api/events', {
    schema: { ...operation('streamEvents', 'Stream changes', EVENTS), querystring: EventsQuery },
    config: {
      ...responses(LAST_EVENT_ID, { 200: streamResponse('The events, for at most an hour.', EVENTS_EXAMPLE) }, CURSOR),
      isLong: () => true,
    },
    handler: handlers.events,
  });
}
