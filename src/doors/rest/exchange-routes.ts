import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { ImportReport, REPORT_EXAMPLE } from '../../exchange/import-report.ts';
import type { EventStreams } from '../../http/event-stream.ts';
import { jsonResponse, streamResponse } from '../../http/openapi.ts';
import { LONG_BODY_TIMEOUT_MS } from '../../http/request-time.ts';
import { EXAMPLE } from '../../tasks/example.ts';
import { header, invalidField, operation, responses, text, type ZodRequestTypes } from './documents.ts';
import { type Exchange, exchangeHandlers, MAX_IMPORT_BYTES } from './exchange-handlers.ts';

const FORMATS = ['json', 'csv', 'ics', 'todotxt'] as const;
const ExportQuery = z.object({
  format: z
    .enum(FORMATS, { error: `Must be one of ${FORMATS.join(', ')}` })
    .optional()
    .meta({
      description: '`json`, everything, if absent; `csv`, `ics` (iCalendar) and `todotxt` have the tasks alone.',
    }),
});
const ImportQuery = z.object({
  dry_run: z
    .enum(['true', 'false'], { error: 'Must be true or false' })
    .optional()
    .meta({ description: '`true` changes nothing, and says what would become of the file.' }),
});

const Erasure = z
  .object({
    confirm: z
      .string({ error: 'Confirm must be your user id' })
      .meta({ description: "The user's id, `user_id` of their tasks.", examples: [EXAMPLE.user_id] }),
  })
  .meta({ id: 'Erasure', description: 'Says whose data is to be erased.', examples: [{ confirm: EXAMPLE.user_id }] });

const number = (description: string) =>
  z
    .int()
    .nonnegative()
    .meta({ description, examples: [12] });
const Erased = z
  .object({
    tasks: number('Tasks, deleted ones too.'),
    lists: number('Lists, deleted ones too.'),
    replies: number('Answers that were kept for requests with an idempotency key.'),
  })
  .meta({ id: 'Erased', description: 'How much was erased.', examples: [{ tasks: 12, lists: 12, replies: 12 }] });

const NO_HEADERS = z.object({});
const ACCEPT = header('Accept', '`text/event-stream` gives progress, and then the report, as Server-Sent Events.');
const DISPOSITION = {
  'Content-Disposition': text('A name for the file.', 'attachment; filename="todo-api-2026-11-21.json"'),
};

const EXPORT = `Streams everything of the caller as one JSON document: lists, tasks, deleted tasks, versions; or the tasks in another
  format. Each task that is there all the time is in it once, as it was when its page was read; what has changed since
  \`version\` of the document is in /api/changes from \`since\` that version.`;
const IMPORT = `Makes the tasks of a file that are not there: our JSON document, CSV (ours or Todoist's), iCalendar (VTODO) or todo.txt, up to
  64 MiB. A task that is there is kept as it is, a deleted one comes back, so the same file twice changes nothing. A file that
  cannot be read is 400 with the line, and nothing is changed; a faulty record is refused by itself. At most two imports run at a
  time: 503 then.`;
const ERASE = `Erases all tasks, lists and kept replies of the caller, for good. The counter goes on, in a new epoch: clients start again
  without a cursor.`;

const EVENTS_EXAMPLE = `event: progress
data: {"created":1200,"restored":0,"unchanged":0,"refused_count":0}

event: report
data: ${JSON.stringify(REPORT_EXAMPLE)}

`;

const file = (description: string, example: string) => ({
  schema: { type: 'string', description },
  examples: { example: { value: example } },
});

const FILES = {
  'application/json': {
    schema: { type: 'object', description: 'A document as GET /api/export gives it.', required: ['format', 'tasks'] },
    examples: { example: { value: { format: 'todo-api', tasks: [{ id: EXAMPLE.id, title: EXAMPLE.title }] } } },
  },
  'text/csv': file("Ours, or Todoist's.", `title,due_date,tags\r\n${EXAMPLE.title},${EXAMPLE.due_date},home\r\n`),
  'text/calendar': file(
    'VTODO of RFC 5545.',
    `BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTODO\r\nUID:${EXAMPLE.id}\r\nSUMMARY:${EXAMPLE.title}\r\nEND:VTODO\r\nEND:VCALENDAR\r\n`,
  ),
  'text/plain': file('todo.txt.', `(A) ${EXAMPLE.title} @home due:${EXAMPLE.due_date}\n`),
};

const exported = (mediaType: string) => [mediaType, { schema: { type: 'string' } }] as const;

/** The routes of export, import and erasure. */
export async function mountExchangeRoutes(
  scope: FastifyInstance,
  exchange: Exchange,
  streams: EventStreams,
): Promise<void> {
  const app = scope.withTypeProvider<ZodRequestTypes>();
  const handlers = exchangeHandlers(exchange, streams);

  app.get('/api/export', {
    schema: { ...operation('exportData', 'Export your data', EXPORT), querystring: ExportQuery },
    config: {
      ...responses(NO_HEADERS, {
        200: {
          ...jsonResponse('The file.', z.looseObject({}), DISPOSITION),
          content: {
            'application/json': { schema: { type: 'object' } },
            ...Object.fromEntries(['text/csv', 'text/calendar', 'text/plain'].map(exported)),
          },
        },
      }),
      isLong: () => true,
    },
    handler: handlers.export,
  });

  app.delete('/api/account/data', {
    schema: { ...operation('eraseData', 'Erase your data', ERASE), body: Erasure },
    config: responses(
      NO_HEADERS,
      { 200: jsonResponse('What was erased.', Erased) },
      ['INVALID_REQUEST', new AppError('VALIDATION_ERROR', invalidField('confirm', 'Confirm must be your user id'))],
      ['PAYLOAD_TOO_LARGE'],
    ),
    handler: handlers.erase,
  });

  await app.register(async (files) => {
    files.removeAllContentTypeParsers();
    files.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    files.withTypeProvider<ZodRequestTypes>().post('/api/import', {
      bodyLimit: MAX_IMPORT_BYTES,
      schema: { ...operation('importData', 'Import a file', IMPORT), querystring: ImportQuery },
      config: {
        ...responses(
          ACCEPT,
          {
            200: {
              ...jsonResponse('What became of the file.', ImportReport),
              content: {
                ...jsonResponse('', ImportReport).content,
                ...streamResponse('', EVENTS_EXAMPLE).content,
              },
            },
          },
          [
            new AppError('INVALID_REQUEST', {
              message: 'The file cannot be read at line 17: The file is not valid JSON',
            }),
            'PAYLOAD_TOO_LARGE',
          ],
        ),
        requestContent: FILES,
        isLong: () => true,
        bodyTimeoutMs: LONG_BODY_TIMEOUT_MS,
      },
      handler: handlers.import,
    });
  });
}
