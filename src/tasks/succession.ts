import { v5 as uuidv5 } from 'uuid';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { dateIn } from '../core/zone.ts';
import type { Effect } from '../writes/effect.ts';
import type { Succession, Successor } from './completion-sql.ts';
import { nextOccurrence } from './recurrence.ts';

/** What `successorState` gives. */
const State = z.object({
  due: z.string().nullable(),
  recurrence: z.string().nullable(),
  from: z.enum(['due', 'completed']),
  zone: z.string().nullable(),
  series: z.string(),
  /** Those below the task, the ids of each and its parent, parents first. */
  below: z.array(z.tuple([z.string(), z.string()])),
});

/** The namespace may be any id that the service accepts, also one of no version; then only its bytes count. */
const uuidIn = (namespace: string, name: string) => uuidv5(name, Buffer.from(namespace.replaceAll('-', ''), 'hex'));

/** The copies of a tree of tasks below one with the id `root`. */
function copiesBelow(root: string, below: z.output<typeof State>['below']): Successor['options'][number] {
  const ids = new Map<string, string>();
  const copies = below.map(([id, parent]) => {
    const copy = uuidIn(ids.get(parent) ?? root, id);
    ids.set(id, copy);
    return [id, copy] as const;
  });
  return { id: root, copies };
}

/** What completes a task, and when. */
interface Completion {
  readonly id: string;
  /** `YYYY-MM-DD`; by default today in the time zone of the task, else in UTC. */
  readonly completedOn: string | undefined;
  readonly limit: number;
  readonly clock: Clock;
}

function successionOf(text: string, { id, completedOn, limit, clock }: Completion): Succession {
  const state = State.parse(JSON.parse(text));
  const { due, recurrence, from, zone, series, below } = state;
  const day = completedOn ?? dateIn(zone ?? 'UTC', clock());
  const next = due === null || recurrence === null ? null : nextOccurrence({ recurrence, from, due, completedOn: day });
  const optionsOf = (date: string) => [series, id].map((namespace) => copiesBelow(uuidIn(namespace, date), below));
  const successor = next && { due_date: next.due, recurrence: next.recurrence, options: optionsOf(next.due) };
  return { state: text, successor, limit };
}

/**
 * @param plain changes a task, unless that completes or reopens a recurring one: then it aborts with `VALUE_NEEDED`.
 * @param inSeries makes the same change, with what comes of it in the series.
 * @returns an effect that does the one or the other.
 */
export function withSuccession(
  completion: Completion,
  plain: Effect,
  inSeries: (succession: Succession) => Effect,
): Effect {
  const from = (state: string | null): Effect => {
    const { limit } = completion;
    const unknown = { state: '', successor: null, limit };
    const effect = state === null ? plain : inSeries(state === '' ? unknown : successionOf(state, completion));
    return { ...effect, computed: { id: completion.id, from } };
  };
  return from(null);
}
