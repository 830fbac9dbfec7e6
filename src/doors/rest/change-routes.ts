import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { Changes, ChangesQuery, EventsQuery, INVALID_CURSOR } from '../../changes/change.ts';
import type { ChangeFeed } from '../../changes/feed.ts';
import type { EventStreams } from '../../http/event-stream.ts';
import { jsonResponse, streamResponse } from '../../http/openapi.ts';
import { changeHandlers } from './change-handlers.ts';
import { header, invalidField, operation, responses, type ZodRequestTypes } from './routes.ts';

const CURSOR = ['CURSOR_EXPIRED', invalidField('cursor', INVALID_CURSOR)] as const;
const NO_HEADERS = z.object({});
const LAST_EVENT_ID = header(
  'last-event-id',
  'The `id` of the last event received, as browsers send it; wins over `cursor`.',
  'ASnx0g1lsU26rRO-0P5RWcMAAAAAAAAABwAAAAAAAAAA',
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
    schema: { ...operation('listChanges', 'List changes', CHANGES.replace(/\s+/g, ' ')), querystring: ChangesQuery },
    config: { ...responses(NO_HEADERS, { 200: jsonResponse('The changes.', Changes) }, CURSOR), isLong: hasWait },
    handler: handlers.list,
  });

  app.get('/api/events', {
    schema: { ...operation('streamEvents', 'Stream changes', EVENTS.replace(/\s+/g, ' ')), querystring: EventsQuery },
    config: {
      ...responses(LAST_EVENT_ID, { 200: streamResponse('The events, for at most an hour.') }, CURSOR),
      isLong: () => true,
    },
    handler: handlers.events,
  });
}
