import type { Task } from '../../../test/support/service.ts';
import type { Checks } from '../checks.ts';
import type { Snapshot, State } from './specification.ts';

/** One change of a task, as the database kept it. */
export interface AuditRow {
  readonly id: string;
  readonly version: number;
  readonly txid: string;
  /** JSON of the schema `Task`. */
  readonly json: string;
  readonly state: State;
}

const normal = (json: string) => JSON.stringify(JSON.parse(json));

function toRow([, id = '', version, txid = '', task = '']: readonly (string | null)[]): AuditRow {
  const {
    id: _,
    user_id,
    created_at,
    updated_at,
    deleted_at,
    completed_at,
    series_id,
    ...fields
  }: Task = JSON.parse(task ?? '');
  const state = { ...fields, version: Number(version), isDeleted: deleted_at !== null };
  return { id: id ?? '', version: Number(version), txid: txid ?? '', json: normal(task ?? ''), state };
}

/** The last element whose version is at most `version`. */
function lastUpTo<T extends { readonly version: number }>(rows: readonly T[], version: number): T | undefined {
  let [from, to] = [0, rows.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((rows[middle]?.version ?? 0) <= version) from = middle + 1;
    else to = middle;
  }
  return rows[from - 1];
}

/** Everything that has become of the tasks of one user, by version. */
export class History {
  readonly user: string;
  readonly rows: readonly AuditRow[];
  readonly #byId = new Map<string, AuditRow[]>();
  /** By version. */
  readonly #trash: number[] = [0];
  readonly #positions: ReadonlyMap<string, string>[] = [new Map()];

  /** Checks that no version is missing, no two are the same, and that they were taken in order. */
  constructor(user: string, audit: readonly (readonly (string | null)[])[], checks: Checks) {
    this.user = user;
    this.rows = audit.map(toRow);
    for (const [index, row] of this.rows.entries()) {
      checks.expect(row.version === index + 1, `${user}: version ${row.version} was taken after ${index}`);
      const states = this.#byId.get(row.id) ?? [];
      const before = states.at(-1);
      const isLater = before === undefined || updatedAt(row) > updatedAt(before);
      checks.expect(isLater, `${user}: updated_at of ${row.id} does not increase with version ${row.version}`);
      checks.expect(isTimed(row, before), `${user}: completed_at of ${row.id} is wrong at version ${row.version}`);
      const positions = new Map(this.#positions.at(-1));
      if (row.state.isDeleted) positions.delete(row.id);
      else positions.set(row.id, row.state.position ?? '');
      this.#positions.push(positions);
      this.#trash.push((this.#trash.at(-1) ?? 0) + Number(isInTrash(row)) - Number(isInTrash(before)));
      this.#byId.set(row.id, [...states, row]);
    }
  }

  get counter(): number {
    return this.rows.length;
  }

  row(version: number): AuditRow | undefined {
    return this.rows[version - 1];
  }

  /** The states of one task. */
  of(id: string): readonly AuditRow[] {
    return this.#byId.get(id) ?? [];
  }

  /** The task as it was when the counter was at `version`. */
  at(id: string, version: number): AuditRow | undefined {
    return lastUpTo(this.of(id), version);
  }

  snapshot(version: number): Snapshot {
    const positions = this.#positions[version] ?? new Map();
    return { counter: version, live: positions.size, positions, state: (id) => this.at(id, version)?.state };
  }

  /** All tasks, deleted ones too, when the counter was at `version`. */
  allAt(version: number): Map<string, AuditRow> {
    return new Map(this.rows.slice(0, version).map((row) => [row.id, row]));
  }

  /** How many deleted tasks had their content. */
  trashAt(version: number): number {
    return this.#trash[version] ?? 0;
  }

  /** Whether the counter has been at `version` between transactions. */
  isCommitted(version: number): boolean {
    return this.row(version)?.txid !== this.row(version + 1)?.txid || version === this.counter;
  }

  /** Whether the content of the task went. */
  wasBlanked(id: string): boolean {
    return this.of(id).some(({ state }) => state.title === null);
  }
}

const isInTrash = (row: AuditRow | undefined) => row?.state.isDeleted === true && row.state.title !== null;

const completedAt = ({ json }: AuditRow): string | null => {
  const { completed_at }: Task = JSON.parse(json);
  return completed_at;
};

/** Whether the time of its completion is there exactly if it is completed, and stays as long as it is. */
function isTimed(row: AuditRow, before: AuditRow | undefined): boolean {
  const at = completedAt(row);
  const wasAt = before === undefined ? null : completedAt(before);
  return row.state.is_completed ? at !== null && (wasAt === null || wasAt === at) : at === null;
}

const updatedAt = ({ json }: AuditRow): string => {
  const { updated_at }: Task = JSON.parse(json);
  return updated_at;
};
