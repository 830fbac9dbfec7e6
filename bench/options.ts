import { parseArgs } from 'node:util';
import { REQUEST_KINDS } from './load/workload.ts';
import { PEERS } from './peers.ts';

const SECTIONS = ['starts', 'cells', 'sync', 'one-user', 'processes', 'growth', 'embedded'] as const;
export type Section = (typeof SECTIONS)[number];

export type Options = NonNullable<ReturnType<typeof readOptions>>;

export const HELP = `npm run bench -- [options]

  --quick              about 2 minutes; shows that everything works, its numbers mean nothing
  --sections LIST      of ${SECTIONS.join(', ')}
  --only LIST          kinds of request, of ${REQUEST_KINDS.join(', ')}
  --connections LIST   default 1,32,100
  --peers LIST         of ${PEERS.join(', ')}; or none
  --before PATH        also measures the build in PATH/dist, another checkout of this service, and reports the ratio.
                       It has tables of its own, made by its own migrations
  --variant SETTING    also measures this service with a changed setting, such as DATABASE_CONNECTIONS=8; repeatable
  --rounds N           measured rounds of each cell, default 5
  --seconds N          length of a round, default 1; the warm-up is as long, at least 1
  --growth LIST        numbers of tasks in the table, default 10000,1000000,5000000
  --processes LIST     numbers of processes of this service, default 1,2,4

Lists are separated by commas. With default options a run takes about 50 minutes, with --seconds 0.6 about 25.
Results are written to bench/results: latest.md and latest.svg if only --seconds, --before or --variant was given, else
quick.* or partial.*, which git ignores, as it does the raw data (*.json).
`;

const INCOMPLETE = ['sections', 'only', 'connections', 'peers', 'rounds', 'growth', 'processes'];

function selected<Word extends string>(
  text: string | undefined,
  words: readonly Word[],
  option: string,
): readonly Word[] {
  if (text === undefined) return words;
  if (text === 'none') return [];
  const unknown = text.split(',').filter((word) => !words.some((known) => known === word));
  if (unknown.length > 0) throw new Error(`${option}: ${unknown.join(', ')} is not one of ${words.join(', ')}`);
  return words.filter((word) => text.split(',').includes(word));
}

function number(text: string, option: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1e7)) throw new Error(`${option}: ${text} is not a number between 0 and 10,000,000`);
  return value;
}

function numbers(text: string | undefined, defaults: readonly number[], option: string): readonly number[] {
  return text === undefined ? defaults : text.split(',').map((word) => number(word, option));
}

/** @returns null for --help. @throws if an option is invalid. */
export function readOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      sections: { type: 'string' },
      only: { type: 'string' },
      connections: { type: 'string' },
      peers: { type: 'string' },
      before: { type: 'string' },
      variant: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      growth: { type: 'string' },
      processes: { type: 'string' },
    },
  });
  if (values.help) return null;
  const { quick } = values;
  const seconds = number(values.seconds ?? (quick ? '0.2' : '1'), '--seconds');
  return {
    quick,
    /** Nothing was left out: the results replace those in git. */
    complete: !quick && !Object.keys(values).some((name) => INCOMPLETE.includes(name)),
    sections: selected(values.sections, SECTIONS, '--sections'),
    kinds: selected(values.only, REQUEST_KINDS, '--only'),
    connections: numbers(values.connections, quick ? [32] : [1, 32, 100], '--connections'),
    peers: selected(values.peers, PEERS, '--peers'),
    before: values.before ?? null,
    variants: values.variant,
    rounds: Math.round(number(values.rounds ?? (quick ? '2' : '5'), '--rounds')),
    seconds,
    warmUpSeconds: quick ? seconds : Math.max(1, seconds),
    starts: quick ? 1 : 5,
    embeddedUsers: quick ? 2_000 : 10_000,
    growth: numbers(values.growth, quick ? [10_000] : [10_000, 1_000_000, 5_000_000], '--growth'),
    processes: numbers(values.processes, quick ? [1, 2] : [1, 2, 4], '--processes'),
  };
}
