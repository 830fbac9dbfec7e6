import type { FastifyReply, FastifyRequest } from 'fastify';
import { type ChangesQuery, type EventsQuery, INVALID_CURSOR, parsePosition, rangeOf } from '../../changes/change.ts';
import type { ChangeFeed } from '../../changes/feed.ts';
import { type ChangePage, changeJson, cursorAfter, cursorOf, type Position, START } from '../../changes/page.ts';
import { AppError } from '../../core/errors.ts';
import { principalOf } from '../../http/authenticate.ts';
import { JSON_TYPE } from '../../http/error-reply.ts';
import { type EventStream, type EventStreams, eventText } from '../../http/event-stream.ts';
import { onceClosed, onceLeft } from '../../http/open-responses.ts';

type Request = Pick<FastifyRequest, keyof FastifyRequest>;

/** From where a stream begins: `Last-Event-ID`, if a client has one, or else the cursor. */
function startOf({ headers, query }: Request & { readonly query: EventsQuery }): Position {
  const lastId = headers['last-event-id']?.toString() ?? '';
  if (lastId === '') return query.cursor ?? START;
  const position = parsePosition(lastId);
  if (position !== null) return position;
  throw new AppError('VALIDATION_ERROR', { details: [{ field: 'last-event-id', message: INVALID_CURSOR }] });
}

/** The events of a page, made once for all streams that it is sent to. */
class PageEvents {
  readonly #made = new WeakMap<ChangePage, Buffer>();

  of(page: ChangePage): Buffer {
    const made = this.#made.get(page);
    if (made !== undefined) return made;
    const text = page.rows.map((row) => eventText('change', cursorAfter(page, row), changeJson(row))).join('');
    const events = Buffer.from(text);
    this.#made.set(page, events);
    return events;
  }
}

/** No variable here keeps a page while the next one is waited for. */
async function sendAll(first: Promise<boolean>, sendNext: () => Promise<boolean>): Promise<void> {
  let isOpen = await first;
  while (isOpen) isOpen = await sendNext();
}

/** A restore, for example: the client comes again, and is told so by the status. */
const isExpired = (error: unknown) => error instanceof AppError && error.code === 'CURSOR_EXPIRED';

/** Handlers of the changes and of the stream. */
export function changeHandlers(changes: ChangeFeed, streams: EventStreams) {
  const pageEvents = new PageEvents();

  /** @returns a function that sends the next page, `synced` behind the first that is the last, and whether it went on. */
  const sender = (stream: EventStream) => {
    let isSynced = false;
    return (page: ChangePage): Promise<boolean> => {
      const reached = { cursor: cursorOf(page), version: page.next.position };
      const events = pageEvents.of(page);
      if (page.hasMore || isSynced) return stream.send(events, reached);
      isSynced = true;
      const synced = eventText('synced', reached.cursor, `{"version":${reached.version}}`);
      return stream.send(Buffer.concat([events, Buffer.from(synced)]), reached);
    };
  };

  return {
    list: async (request: Request & { readonly query: ChangesQuery }, reply: FastifyReply) => {
      const user = principalOf(request);
      const { from, limit } = rangeOf(request.query);
      const { wait } = request.query;
      const { draining } = request.server;
      const onStop = (stop: () => void) => {
        if (draining.aborted) stop();
        draining.addEventListener('abort', stop);
        onceLeft(request, stop);
        onceClosed(request, () => draining.removeEventListener('abort', stop));
      };
      const { json } = await (wait === undefined
        ? changes.read(user, from, limit)
        : changes.wait(user, from, limit, wait * 1_000, onStop));
      return reply.type(JSON_TYPE).send(json);
    },

    /** The first page is read before the response begins, because an expired cursor is its status. */
    events: async (request: Request & { readonly query: EventsQuery }, reply: FastifyReply) => {
      const follower = changes.follow(principalOf(request), startOf(request));
      onceClosed(request, () => follower.close());
      const first = await follower.next();
      if (first === null) return reply.hijack(); // the client has gone
      const stream = streams.open(reply);
      const send = sender(stream);
      const sendNext = async () => {
        const page = await follower.next();
        return page !== null && send(page);
      };
      sendAll(send(first), sendNext)
        .catch((error: unknown) => {
          if (!isExpired(error)) request.log.error({ err: error, request_id: request.id }, 'event stream');
        })
        .finally(() => stream.close(null));
      return reply;
    },
  };
}
