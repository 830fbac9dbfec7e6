import type pg from 'pg';
import { DatabaseUnusableError, sqlStateOf } from '../errors.ts';

/** SQLSTATEs of a page or file that cannot be read: io_error, undefined_file, data_corrupted, index_corrupted. */
const DAMAGED: readonly (string | null)[] = ['58030', '58P01', 'XX001', 'XX002'];

/** Classes of SQLSTATE that say nothing about the files: data, constraints, retry, resources, locks, intervention. */
const NOT_OF_FILES = /^(22|23|40|53|55|57)/;

/** What the system says when it lacks space, memory or file descriptors. */
const OUT_OF_RESOURCES =
  /no space left|disk quota|cannot allocate|could not allocate|out of memory|too many open files|ENOSPC|ENOMEM|E[MN]FILE/i;

/** The error of damaged files in `directory`. @param found what is damaged, one sentence without its full stop. */
export function damagedFiles(directory: string, found: string, cause?: unknown): DatabaseUnusableError {
  const help = `see "Damaged files" in docs/operations.md. DATA_DIR is ${directory}. ${found}.`;
  return new DatabaseUnusableError(`Database files in DATA_DIR are damaged: restore a backup; ${help}`, cause);
}

/** Whether a statement failed because it met a damaged page or a missing file. */
export function isDamage(error: unknown): boolean {
  return DAMAGED.includes(sqlStateOf(error));
}

/** The engine could not be started. */
export class EngineStartError extends Error {
  /** What PostgreSQL reported meanwhile, a line each, without times. */
  readonly reported: readonly string[];

  constructor(cause: unknown, reported: readonly string[]) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super([`The embedded database did not start: ${reason}`, ...reported].join('; '), { cause });
    this.name = 'EngineStartError';
    this.reported = reported;
  }
}

/** PostgreSQL's reason why its files cannot be used, if `error`, of opening the database, has one. */
function reasonOf(error: unknown): string | null {
  const final =
    error instanceof EngineStartError ? error.reported.findLast((line) => /^(FATAL|PANIC):/.test(line)) : null;
  if (typeof final === 'string') return final;
  // The statements at the start are fixed and run alone: whole files give none of these, not even 42883 or XX000.
  const isWrapped = error instanceof EngineStartError || error instanceof DatabaseUnusableError;
  const cause = isWrapped ? error.cause : error;
  const sqlState = sqlStateOf(cause);
  if (!(cause instanceof Error) || sqlState === null || NOT_OF_FILES.test(sqlState)) return null;
  return `${cause.message} (${sqlState})`;
}

/** After so many failed attempts to open the database, without a success or a lack of resources, the last is final. */
const MAX_FAILURES = 5;

/** Opens connections to the embedded database, and decides which failures are final. */
export class Opening {
  readonly #directory: string;
  readonly #connect: () => Promise<pg.Client>;
  #failures = 0;
  /** The failure that was final. */
  fatal: DatabaseUnusableError | null = null;
  /** Called with it. */
  onFatal: (error: DatabaseUnusableError) => void = () => undefined;

  /** @param directory DATA_DIR */
  constructor(directory: string, connect: () => Promise<pg.Client>) {
    this.#directory = directory;
    this.#connect = connect;
  }

  /** @throws {DatabaseUnusableError} if trying again does not help; the error of `connect` otherwise. */
  async connect(): Promise<pg.Client> {
    if (this.fatal !== null) throw this.fatal;
    try {
      const client = await this.#connect();
      this.#failures = 0;
      return client;
    } catch (error) {
      const judged = this.#judge(error);
      if (judged instanceof DatabaseUnusableError) {
        this.fatal = judged;
        this.onFatal(judged);
      }
      throw judged;
    }
  }

  #judge(error: unknown): unknown {
    const message = error instanceof Error ? error.message : String(error);
    if (OUT_OF_RESOURCES.test(message)) return error;
    const reason = reasonOf(error);
    if (reason !== null) return damagedFiles(this.#directory, `PostgreSQL reports: ${reason}`, error);
    this.#failures += 1;
    if (error instanceof DatabaseUnusableError || this.#failures < MAX_FAILURES) return error;
    const what = `could not be opened in ${MAX_FAILURES} attempts`;
    return new DatabaseUnusableError(`The database in DATA_DIR ${this.#directory} ${what}: ${message}`, error);
  }
}
