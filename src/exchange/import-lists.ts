import type { Principal } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import { ListCreate, ListId } from '../lists/list.ts';
import type { ListEffects } from '../lists/list-effects.ts';
import type { Outcome } from '../writes/outcome.ts';
import type { Writer } from '../writes/writer.ts';
import { exportLists } from './exchange-sql.ts';
import type { ImportPlan } from './import-plan.ts';
import type { ReportBuilder } from './import-report.ts';
import { type Fields, idOfList, type ListReference } from './record.ts';

/** A list, with JSON of the schema `List`. */
interface ExchangedList {
  readonly id: string;
  readonly name: string;
  readonly json: string;
}

/** @returns the lists of the user that are not deleted, by position. */
export async function listsOf(database: Database, { userId }: Principal): Promise<readonly ExchangedList[]> {
  const [rows = []] = await database.transaction({ kind: 'user', userId }, [exportLists({ owner: userId })]);
  return rows.map(([id, name, json]) => ({ id: id ?? '', name: name ?? '', json: json ?? '' }));
}

/** Which list of the user a list of the file is. */
export class ListDirectory {
  readonly #byId = new Map<string, string>();
  readonly #byName = new Map<string, string>();

  constructor(lists: readonly ExchangedList[]) {
    for (const { id, name } of lists) this.add(id, name, id);
  }

  add(id: string, name: string, target: string): void {
    this.#byId.set(id, target);
    if (!this.#byName.has(name)) this.#byName.set(name, target);
  }

  /** The list with the id, else the one of the name. */
  find(id: string, name: string): string | null {
    return this.#byId.get(id) ?? this.#byName.get(name) ?? null;
  }

  /** @returns null for the inbox; the id as it stands if no list has it. */
  idOf(list: ListReference): string | null {
    if (list === null) return null;
    return 'id' in list ? (this.#byId.get(list.id) ?? list.id) : (this.#byName.get(list.name) ?? null);
  }
}

export interface ListMaker {
  readonly database: Database;
  readonly writer: Writer;
  readonly effects: ListEffects;
}

const messageOf = (name: string, { kind }: Outcome) =>
  kind === 'limit' ? `list ${name}: The limit of lists is reached` : `list ${name}: It could not be made`;

/** Makes the lists of a file that are not there, under another id where a deleted one has theirs. */
export async function makeLists(
  { database, writer, effects }: ListMaker,
  user: Principal,
  plan: ImportPlan,
  report: ReportBuilder,
): Promise<ListDirectory> {
  const directory = new ListDirectory(await listsOf(database, user));
  const create = async (id: ListId | null, list: ListCreate) => {
    const effect = effects.create(user, id, list);
    const { outcomes } = await writer.write(user, { effects: [effect], isAtomic: false, retry: null });
    return outcomes[0];
  };
  const make = async (line: number, id: string, fields: Fields) => {
    const parsed = ListCreate.safeParse(fields);
    if (!parsed.success)
      return report.refuse(line, `list: ${parsed.error.issues.map(({ message }) => message).join('; ')}`);
    const { name } = parsed.data;
    const known = directory.find(id, name);
    if (known !== null) return directory.add(id, name, known);
    let outcome = await create(ListId.parse(id), parsed.data);
    if (outcome?.kind === 'taken') outcome = await create(null, parsed.data);
    if (outcome?.kind === 'created' && outcome.id !== null) return directory.add(id, name, outcome.id);
    if (outcome !== undefined) report.refuse(line, messageOf(name, outcome));
  };
  for (const { line, id, fields } of plan.lists) await make(line, id, fields);
  for (const [name, line] of plan.listNames) {
    await make(line, idOfList(name), { name });
  }
  return directory;
}
