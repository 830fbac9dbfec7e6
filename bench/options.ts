import { parseArgs } from 'node:util';
import { PEERS, type PeerName } from './contenders.ts';
import { REQUEST_KINDS, type RequestKind } from './load/order.ts';

const SECTIONS = ['cells', 'starts', 'growth', 'processes', 'embedded'] as const;
export type Section = (typeof SECTIONS)[number];

export interface Options {
  readonly quick: boolean;
  /** Nothing is left out and no round is short: the results are worth keeping. */
  readonly complete: boolean;
  readonly sections: readonly Section[];
  readonly kinds: readonly RequestKind[];
  readonly connections: readonly number[];
  readonly peers: readonly PeerName[];
  /** Settings of the service to be measured beside the usual ones, as `NAME=VALUE`. */
  readonly variants: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly starts: number;
  readonly users: number;
  readonly embeddedUsers: number;
  /** Tasks in the table. */
  readonly growth: readonly number[];
  readonly processes: readonly number[];
}

export const HELP = `npm run bench -- [options]

  --quick              a short run that shows that everything works; its numbers say nothing
  --sections LIST      of ${SECTIONS.join(', ')}
  --only LIST          of ${REQUEST_KINDS.join(', ')}
  --connections LIST   1,32,100
  --peers LIST         of ${PEERS.join(', ')}; or none
  --variant SETTING    measures this service once more with a setting changed: DATABASE_CONNECTIONS=8; may be repeated
  --rounds N           measured rounds of each cell: 5
  --seconds N          of each round: 1
  --growth LIST        tasks in the table: 10000,1000000,5000000
  --processes LIST     of this service: 1,2,4

Without options it takes about 45 minutes. Lists are separated by commas. Results land in bench/results: those of a run with nothing left out as latest.md,
latest.svg and a dated JSON file, those of any other as quick.* or partial.*, which git ignores.
`;

const NARROWING = ['sections', 'only', 'connections', 'rounds', 'growth', 'processes'];
/** Peers that no complete run may leave out, as long as their runtime is there. */
const NEEDED_PEERS: readonly PeerName[] = ['fastapi', 'express', 'hono'];

function chosen<Word extends string>(text: string | undefined, words: readonly Word[], what: string): readonly Word[] {
  if (text === undefined) return words;
  if (text === 'none') return [];
  const unknown = text.split(',').filter((word) => !words.some((known) => known === word));
  if (unknown.length > 0) throw new Error(`${what}: ${unknown.join(', ')} is none of ${words.join(', ')}`);
  return words.filter((word) => text.split(',').includes(word));
}

function number(text: string, what: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1e7)) throw new Error(`${what}: ${text} is no good number`);
  return value;
}

function numbers(text: string | undefined, usual: readonly number[], what: string): readonly number[] {
  return text === undefined ? usual : text.split(',').map((word) => number(word, what));
}

/** @returns null where only help was asked for. @throws with what is wrong. */
export function readOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      sections: { type: 'string' },
      only: { type: 'string' },
      connections: { type: 'string' },
      peers: { type: 'string' },
      variant: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      growth: { type: 'string' },
      processes: { type: 'string' },
    },
  });
  if (values.help) return null;
  const { quick } = values;
  const peers = chosen(values.peers, PEERS, '--peers');
  const seconds = number(values.seconds ?? (quick ? '0.2' : '1'), '--seconds');
  return {
    quick,
    complete:
      !quick &&
      NEEDED_PEERS.every((name) => peers.includes(name)) &&
      !Object.keys(values).some((name) => NARROWING.includes(name)),
    sections: chosen(values.sections, SECTIONS, '--sections'),
    kinds: chosen(values.only, REQUEST_KINDS, '--only'),
    connections: numbers(values.connections, quick ? [32] : [1, 32, 100], '--connections'),
    peers,
    variants: values.variant,
    rounds: Math.round(number(values.rounds ?? (quick ? '2' : '5'), '--rounds')),
    seconds,
    warmUpSeconds: quick ? seconds : Math.max(1, seconds),
    starts: quick ? 1 : 5,
    users: 10_000,
    embeddedUsers: quick ? 2_000 : 10_000,
    growth: numbers(values.growth, quick ? [10_000] : [10_000, 1_000_000, 5_000_000], '--growth'),
    processes: numbers(values.processes, quick ? [1, 2] : [1, 2, 4], '--processes'),
  };
}
