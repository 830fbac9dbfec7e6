import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../core/errors.ts';
import type { Erased, EraseService } from '../../exchange/erase-service.ts';
import type { ExportService } from '../../exchange/export-service.ts';
import { READERS, WRITERS } from '../../exchange/format.ts';
import { ImportPlan } from '../../exchange/import-plan.ts';
import type { ImportReport } from '../../exchange/import-report.ts';
import type { ImportService } from '../../exchange/import-service.ts';
import { principalOf } from '../../http/authenticate.ts';
import { errorReply, JSON_TYPE, toAppError } from '../../http/error-reply.ts';
import type { EventStream, EventStreams } from '../../http/event-stream.ts';
import { allowSilence } from '../../http/request-time.ts';
import { spool } from '../../http/spool.ts';

type Request = Pick<FastifyRequest, keyof FastifyRequest>;

export const MAX_IMPORT_BYTES = 67_108_864;
/** Of the process. */
const MAX_IMPORTS = 2;
/** A client may take longer to read than the database to write. */
const MAX_EXPORT_MS = 600_000;
const PROGRESS_EVERY_MS = 250;

const MEDIA_TYPE = /^([\w/]+)[ \t]*(?:;[ \t]*charset="?utf-?8"?[ \t]*)?;?$/i;
const WRONG_TYPE = `Content-Type must be one of ${[...READERS.keys()].join(', ')}, in UTF-8`;

function readerOf({ headers }: Request) {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = headers;
  const reader = READERS.get(MEDIA_TYPE.exec(type)?.[1]?.toLowerCase() ?? '');
  if (reader === undefined) throw new AppError('INVALID_REQUEST', { message: WRONG_TYPE });
  if (encoding.toLowerCase() === 'identity') return reader;
  throw new AppError('INVALID_REQUEST', { message: 'Content-Encoding is not supported' });
}

/** One event without an id, because a stream of progress cannot be gone on with. */
const event = (name: string, data: string) => `event: ${name}\ndata: ${data}\n\n`;

const progressOf = ({ refused, ...counts }: ImportReport) => JSON.stringify(counts);

/** Sends progress now and then. */
class Progress {
  readonly #stream: EventStream;
  #sentAt = 0;

  constructor(stream: EventStream) {
    this.#stream = stream;
  }

  async report(report: ImportReport): Promise<void> {
    if (performance.now() - this.#sentAt < PROGRESS_EVERY_MS) return;
    this.#sentAt = performance.now();
    await this.#send('progress', progressOf(report));
  }

  async end(name: 'report' | 'error', data: string): Promise<void> {
    await this.#send(name, data);
    this.#stream.close(null);
  }

  #send(name: string, data: string): Promise<boolean> {
    return this.#stream.send(event(name, data), { cursor: '', version: 0 });
  }
}

export interface Exchange {
  readonly exports: ExportService;
  readonly imports: ImportService;
  readonly erasure: EraseService;
}

/** Handlers of export, import and erasure. */
export function exchangeHandlers({ exports, imports, erasure }: Exchange, streams: EventStreams) {
  let running = 0;

  /** Streams a file; its first piece is read before the answer begins, because an error is its status. */
  const sendFile = async (
    request: Request,
    reply: FastifyReply,
    { mediaType, extension }: { readonly mediaType: string; readonly extension: string },
    pieces: AsyncGenerator<string>,
  ) => {
    const first = request.method === 'HEAD' ? null : await pieces.next();
    const { draining } = request.server;
    const endsAt = performance.now() + MAX_EXPORT_MS;
    const all = async function* () {
      if (first === null || first.done) return;
      yield first.value;
      for await (const piece of pieces) {
        if (draining.aborted || performance.now() > endsAt) throw new Error('The export takes too long');
        yield piece;
      }
    };
    const day = new Date().toISOString().slice(0, 10);
    return reply
      .type(`${mediaType}; charset=utf-8`)
      .header('content-disposition', `attachment; filename="todo-api-${day}.${extension}"`)
      .send(Readable.from(all(), { objectMode: false, highWaterMark: 1 }));
  };

  const run = async (request: Request, isDryRun: boolean, reply: FastifyReply) => {
    const user = principalOf(request);
    const reader = readerOf(request);
    const { body } = request;
    if (Number(request.headers['content-length'] ?? 0) > MAX_IMPORT_BYTES) throw new AppError('PAYLOAD_TOO_LARGE');
    if (!(body instanceof Readable)) throw new AppError('INVALID_REQUEST', { message: 'Request body is missing' });
    const spooled = await spool(body, MAX_IMPORT_BYTES);
    try {
      allowSilence(request);
      const plan = await ImportPlan.of(reader, spooled.read);
      const apply = (onProgress: (report: ImportReport) => Promise<void>) =>
        imports.apply(user, plan, { isDryRun, onProgress, signal: request.server.draining });
      if (!/\btext\/event-stream\b/.test(request.headers.accept ?? '')) {
        const report = await apply(async () => undefined);
        return reply.type(JSON_TYPE).send(JSON.stringify(report));
      }
      const progress = new Progress(streams.open(reply));
      await apply((report) => progress.report(report)).then(
        (report) => progress.end('report', JSON.stringify(report)),
        (error: unknown) => {
          request.log.error({ err: error, request_id: request.id }, 'import');
          return progress.end('error', errorReply(toAppError(error)).body);
        },
      );
      return reply;
    } finally {
      await spooled.remove();
    }
  };

  return {
    export: (
      request: Request & { readonly query: { readonly format?: keyof typeof WRITERS | 'json' | undefined } },
      reply: FastifyReply,
    ) => {
      const user = principalOf(request);
      const { format = 'json' } = request.query;
      if (format === 'json') {
        return sendFile(request, reply, { mediaType: 'application/json', extension: 'json' }, exports.document(user));
      }
      return sendFile(request, reply, WRITERS[format], exports.file(user, WRITERS[format].writer()));
    },

    import: async (
      request: Request & { readonly query: { readonly dry_run?: 'true' | 'false' | undefined } },
      reply: FastifyReply,
    ) => {
      if (running >= MAX_IMPORTS) {
        throw new AppError('SERVICE_UNAVAILABLE', { cause: new Error('Two imports are running') });
      }
      running += 1;
      try {
        return await run(request, request.query.dry_run === 'true', reply);
      } catch (error) {
        if (!request.raw.complete) void reply.header('connection', 'close');
        throw error;
      } finally {
        running -= 1;
      }
    },

    erase: async (request: Request & { readonly body: { readonly confirm: string } }): Promise<Erased> => {
      const user = principalOf(request);
      if (request.body.confirm !== user.userId) {
        throw new AppError('VALIDATION_ERROR', {
          details: [{ field: 'confirm', message: 'Confirm must be your user id' }],
        });
      }
      return erasure.erase(user);
    },
  };
}
