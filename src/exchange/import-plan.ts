import { AppError } from '../core/errors.ts';
import { MAX_LISTS } from '../lists/list.ts';
import { MAX_LEVELS } from '../tasks/parts-sql.ts';
import { type ListEntry, type Reader, SyntaxFault, type TaskEntry } from './record.ts';

/** A file that can be read again. */
export type Source = () => AsyncIterable<Buffer>;

/** What has to be known of a whole file before its first task can be made. */
export class ImportPlan {
  readonly read: Reader;
  readonly source: Source;
  readonly lists: ListEntry[] = [];
  /** With the line of the first task in each. */
  readonly listNames = new Map<string, number>();
  /** The parent of each task that has one in the file or elsewhere. */
  readonly #parents = new Map<string, string>();
  #deepest = 0;

  private constructor(read: Reader, source: Source) {
    this.read = read;
    this.source = source;
  }

  /** Reads the whole file. @throws {AppError} `INVALID_REQUEST` with the line, if it cannot be read. */
  static async of(read: Reader, source: Source): Promise<ImportPlan> {
    const plan = new ImportPlan(read, source);
    try {
      for await (const entry of read(source())) {
        if (entry.kind === 'list' && plan.lists.length < MAX_LISTS) plan.lists.push(entry);
        if (entry.kind === 'task') plan.#add(entry);
      }
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error;
      const message = `The file cannot be read at line ${error.line}: ${error.message}`;
      throw new AppError('INVALID_REQUEST', { message, cause: error });
    }
    for (const id of plan.#parents.keys()) plan.#deepest = Math.max(plan.#deepest, plan.levelOf(id) ?? 0);
    return plan;
  }

  /** Parents are made before their children: how many times the file has to be read for that. */
  get levels(): number {
    return this.#deepest + 1;
  }

  /** @returns how many parents are above the task in the file; null if it is its own, or there are too many. */
  levelOf(id: string): number | null {
    let level = 0;
    for (let parent = this.#parents.get(id); parent !== undefined; parent = this.#parents.get(parent)) {
      level += 1;
      if (level >= MAX_LEVELS) return null;
    }
    return level;
  }

  #add({ line, id, parentId, list }: TaskEntry): void {
    if (parentId !== null && !this.#parents.has(id)) this.#parents.set(id, parentId);
    if (list === null || 'id' in list || parentId !== null || this.listNames.has(list.name)) return;
    if (this.listNames.size <= MAX_LISTS) this.listNames.set(list.name, line);
  }
}
