import { z } from 'zod';
import { LIST_EXAMPLE, List } from '../lists/list.ts';
import { EXAMPLE } from '../tasks/example.ts';
import { Task } from '../tasks/task.ts';
import { parseCursor } from './cursor.ts';
import { type Position, positionOf, START } from './page.ts';

const EXAMPLE_CURSOR = 'ASnx0g1lsU26rRO-0P5RWcMAAAAAAAAABwAAAAAAAAAA';
const EXAMPLE_EPOCH = '29f1d20d-65b1-4dba-ad13-bed0fe5159c3';

const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 500;
const MAX_WAIT_S = 25;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A query parameter with an integer in decimal digits. */
const integer = (label: string, min: number, max: number, description: string) => {
  const message = `${label} must be an integer from ${min} to ${max}`;
  return z
    .string()
    .refine((text) => /^\d{1,16}$/.test(text) && Number(text) >= min && Number(text) <= max, message)
    .transform(Number)
    .optional()
    .meta({ description, type: 'integer', minimum: min, maximum: max });
};

/** @returns the position in `text`, a cursor; null if it is none that this service could have given. */
export function parsePosition(text: string): Position | null {
  const cursor = parseCursor(text);
  return cursor === null ? null : positionOf(cursor);
}

export const INVALID_CURSOR = 'Cursor must be one that this service has given';

const cursor = z
  .string()
  .transform((text, context) => {
    const position = parsePosition(text);
    if (position === null) context.addIssue({ code: 'custom', message: INVALID_CURSOR });
    return position ?? START;
  })
  .optional()
  .meta({
    description: 'Where to go on: the `cursor` of the last answer, or the `id` of the last event. Opaque.',
  });

/** The query parameters of a stream. */
export const EventsQuery = z.object({ cursor });

export type EventsQuery = z.output<typeof EventsQuery>;

/** The query parameters of the changes. */
export const ChangesQuery = z
  .object({
    cursor,
    limit: integer('Limit', 1, MAX_LIMIT, `How many changes at most; ${DEFAULT_LIMIT} if absent.`),
    wait: integer('Wait', 1, MAX_WAIT_S, 'Seconds to wait for a change if there is none.'),
    since: integer(
      'Since',
      0,
      Number.MAX_SAFE_INTEGER,
      'In place of a cursor: the version that has been reached. Above 0 it needs `epoch`.',
    ),
    epoch: z
      .string()
      .refine((text) => UUID.test(text), 'Epoch must be a UUID')
      .optional()
      .meta({
        format: 'uuid',
        description: 'To be sent with `since`: the `epoch` of the last answer.',
      }),
  })
  .superRefine(({ cursor: given, since, epoch }, context) => {
    const refuse = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
    if (given !== undefined && since !== undefined) refuse('since', 'Either cursor or since, not both');
    if (epoch !== undefined && since === undefined) refuse('epoch', 'Epoch is only sent with since');
    if (since !== undefined && since > 0 && epoch === undefined)
      refuse('epoch', 'Since needs the epoch that came with it');
  });

export type ChangesQuery = z.output<typeof ChangesQuery>;

/** From where, and how many changes, a request wants. */
export function rangeOf({ cursor: given, since, epoch, limit }: ChangesQuery): {
  readonly from: Position;
  readonly limit: number;
} {
  const numbered =
    since === undefined || since === 0 ? START : { epoch: epoch?.toLowerCase() ?? null, position: since, base: 0 };
  return { from: given ?? numbered, limit: limit ?? DEFAULT_LIMIT };
}

const version = z.int().nonnegative();

const EXAMPLE_CHANGE = { type: 'task', id: EXAMPLE.id, version: EXAMPLE.version, deleted: false, task: EXAMPLE };

/** What a stream begins with, for the document. */
export const EVENTS_EXAMPLE = `retry: 2345

id: ${EXAMPLE_CURSOR}
event: change
data: ${JSON.stringify(EXAMPLE_CHANGE)}

id: ${EXAMPLE_CURSOR}
event: synced
data: {"version":${EXAMPLE.version}}

`;

const { id: listId, version: listVersion } = LIST_EXAMPLE;
const EXAMPLE_LIST_CHANGE = { type: 'list', id: listId, version: listVersion, deleted: false, list: LIST_EXAMPLE };

const Change = z
  .object({
    type: z.enum(['task', 'list']).meta({ description: 'Which of `task` and `list` it has.', examples: ['task'] }),
    id: z.string().meta({ format: 'uuid', examples: [EXAMPLE.id] }),
    version: version.meta({ description: 'The number of this change.', examples: [EXAMPLE.version] }),
    deleted: z.boolean().meta({ examples: [false] }),
    task: Task.nullable()
      .optional()
      .meta({ description: 'Its present state; null once the content of a deleted one is gone.' }),
    list: List.nullable().optional().meta({ description: 'Its present state; null if it was deleted.' }),
  })
  .meta({
    id: 'Change',
    description: 'The newest change of one task or list.',
    examples: [EXAMPLE_CHANGE, EXAMPLE_LIST_CHANGE],
  });

export const Changes = z
  .object({
    changes: z.array(Change).max(MAX_LIMIT),
    cursor: z.string().meta({ description: 'Where to go on.', examples: [EXAMPLE_CURSOR] }),
    version: version.meta({ description: 'The version reached.', examples: [EXAMPLE.version] }),
    epoch: z.string().meta({ format: 'uuid', description: 'Of these versions.', examples: [EXAMPLE_EPOCH] }),
    has_more: z.boolean().meta({ description: 'Whether to ask again at once, with `cursor`.', examples: [false] }),
  })
  .meta({
    id: 'Changes',
    description: 'Changes by version, each task or list once, at its newest state.',
    examples: [
      {
        changes: [EXAMPLE_CHANGE],
        cursor: EXAMPLE_CURSOR,
        version: EXAMPLE.version,
        epoch: EXAMPLE_EPOCH,
        has_more: false,
      },
    ],
  });
