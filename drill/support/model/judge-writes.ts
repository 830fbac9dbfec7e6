import type { Task } from '../../../test/support/service.ts';
import type { Checks } from '../checks.ts';
import type { AuditRow, History } from './history.ts';
import type { Answer, Call } from './journal.ts';
import { idOf, type Work, workOf } from './operation.ts';
import { type Consequence, consequenceOf, contentOf, type Result } from './specification.ts';

interface ResultBody {
  readonly status?: number;
  readonly title?: string;
  readonly version?: number;
  readonly code?: string;
  readonly index?: number;
  readonly task?: Task;
  readonly current?: Task | null;
  readonly tasks?: readonly Task[];
  readonly results?: readonly ResultBody[];
}

/** A request with what it asks for and what it was answered first; both null if that is not known. */
interface Case {
  readonly call: Call;
  readonly work: Work;
  readonly answer: Answer | null;
  readonly body: ResultBody | null;
}

const MAX_EXPLAINED = 3;
const SHOWN = 8;

const tagOf = (etag: string | null) => Number(/^"(\d+)"$/.exec(etag ?? '')?.[1] ?? 0) || null;

/** The answer to one operation as the result of a batch. */
function alone({ status, body: text }: Answer, body: ResultBody | null): ResultBody {
  if (body?.title === undefined) return { ...body, status };
  const task: Task = JSON.parse(text);
  return { status, task };
}

/** Judges the writes of one user: each request must have done what the contract says, at one moment while it was made. */
export class WriteJudge {
  readonly #history: History;
  readonly #limit: number;
  readonly #checks: Checks;
  readonly #calls: readonly Call[];
  /** By version: the request that made it. */
  readonly #makers = new Map<number, Call>();
  /** By ETag: the lists that were answered. */
  readonly #lists = new Map<string, ResultBody>();
  /** Of each request that changed something, when it was sent, and the lowest version that it or a later one made. */
  #starts: { readonly at: number; version: number }[] = [];
  #explained = 0;

  constructor(history: History, calls: readonly Call[], limit: number, checks: Checks) {
    this.#history = history;
    this.#limit = limit;
    this.#checks = checks;
    this.#calls = calls;
  }

  judge(): { readonly unknown: number } {
    const cases = this.#calls.map((call): Case => {
      const answer = call.answers[0] ?? null;
      const hasBody = answer !== null && answer.body !== '';
      const body: ResultBody | null = hasBody ? JSON.parse(answer.body) : null;
      if (body?.tasks !== undefined) this.#lists.set(answer?.etag ?? '', body);
      return { call, work: workOf(call.request), answer, body };
    });
    for (const each of cases) this.#compareAnswers(each);
    const open = cases.filter((each) => !this.#claim(each));
    this.#sortStarts();
    const unknown = open.filter((each) => !this.#explain(each));
    for (const row of this.#history.rows) {
      if (this.#makers.has(row.version)) continue;
      const index = unknown.findIndex(({ call, work }) => this.#makes(call, work, row.version - 1) !== null);
      const [maker] = index === -1 ? [] : unknown.splice(index, 1);
      if (maker !== undefined) this.#own(maker, row.version - 1);
      else if (!this.#isBlanked(row)) this.#fail(row.id, `version ${row.version} was made twice, or by no request`);
    }
    return { unknown: unknown.length };
  }

  /** All answers to one key are the same to the byte, but for tasks whose content has gone. */
  #compareAnswers({ call, work }: Case): void {
    const [first, ...others] = call.answers;
    if (first === undefined) return;
    const executed = call.answers.filter(({ isReplayed }) => !isReplayed);
    const id = this.#firstId(work, first);
    if (call.key !== null && executed.length > 1 && first.status !== 400) {
      this.#fail(id, `${call.name} was executed ${executed.length} times`);
    }
    for (const { status, body, etag, location } of others) {
      const isSame =
        status === first.status && body === first.body && etag === first.etag && location === first.location;
      if (isSame || this.#mayBeBlanked(work, first)) continue;
      this.#fail(id, `${call.name} was answered ${first.status} ${first.body}, and then ${status} ${body}`);
    }
  }

  /** Whether a kept answer may be blank because the content of a task in it has gone. */
  #mayBeBlanked(work: Work, { body }: Answer): boolean {
    const ids = [...work.operations.map(idOf), ...(body.match(/[0-9a-f-]{36}/g) ?? [])];
    return ids.some((id) => id !== null && this.#history.wasBlanked(id)) || this.#makesUnknownIds(work);
  }

  #makesUnknownIds = ({ operations }: Work) =>
    operations.some((operation) => operation.kind === 'create' && operation.id === null) &&
    this.#history.rows.some(({ state }) => state.title === null);

  /** @returns whether the request made the version that its answer names. */
  #claim(each: Case): boolean {
    const { call, work, answer, body } = each;
    if (answer === null || body === null || answer.status >= 300) return false;
    const last = (work.isBatch ? body.version : tagOf(answer.etag)) ?? 0;
    // Behind a part of its own changes, the others would seem to have been there already.
    for (let count = Math.min(work.operations.length, last); count > 0; count -= 1) {
      const consequence = this.#makes(call, work, last - count);
      if (consequence?.counter !== last || this.#difference(work, consequence, answer, body) !== null) continue;
      this.#own(each, last - count);
      return true;
    }
    return false;
  }

  #own({ call, work }: Case, from: number): void {
    const { counter } = consequenceOf(work, this.#history.snapshot(from), this.#limit);
    for (let version = from + 1; version <= counter; version += 1) this.#makers.set(version, call);
  }

  /** @returns what becomes of the request after version `from`, if that is what was written, by nobody else. */
  #makes(call: Call, work: Work, from: number): Consequence | null {
    if (from < call.floor) return null;
    const consequence = consequenceOf(work, this.#history.snapshot(from), this.#limit);
    const { changes } = consequence;
    const txid = this.#history.row(from + 1)?.txid;
    const isMade = changes.every(({ id, state }) => {
      const row = this.#history.row(state.version);
      if (row?.txid !== txid || row === undefined || this.#makers.has(row.version)) return false;
      const isTask = id === null ? this.#history.of(row.id)[0] === row : id === row.id;
      return isTask && contentOf(state) === contentOf(row.state);
    });
    return isMade && changes.length > 0 ? consequence : null;
  }

  /** Whether content went with a deletion, because there were too many deleted tasks. */
  #isBlanked({ id, version, state, txid }: AuditRow): boolean {
    const before = this.#history.at(id, version - 1)?.state;
    const isContentGone = state.title === null && before?.isDeleted === true && before.title !== null;
    const isBehindDeletion = this.#history.row(version - 1)?.txid === txid;
    return isContentGone && isBehindDeletion && this.#history.trashAt(version - 1) > this.#limit;
  }

  /** Finds the moment at which a request that changed nothing was executed. @returns false if its outcome is unknown. */
  #explain({ call, work, answer, body }: Case): boolean {
    if (answer === null) return false;
    const to = this.#latest(answer);
    let last = '';
    for (let version = call.floor; version <= to; version += 1) {
      const difference = this.#differenceAt(version, work, answer, body);
      if (difference === null) return true;
      last = difference;
    }
    if (answer.isReplayed && this.#mayBeBlanked(work, answer)) return false;
    const window = `between version ${call.floor} and ${to}`;
    const said = `${answer.status} ${answer.body.slice(0, 600)}`;
    this.#fail(this.#firstId(work, answer), `${call.name} was answered ${said}, which is not so ${window}: ${last}`);
    return true;
  }

  #differenceAt(version: number, work: Work, answer: Answer, body: ResultBody | null): string | null {
    const [operation] = work.operations;
    const isRead = operation?.kind === 'list' || operation?.kind === 'get';
    if (isRead && !this.#history.isCommitted(version)) return 'the transaction had not ended';
    if (operation?.kind === 'list') {
      const tasks = [...this.#history.allAt(version).values()].filter(({ state }) => !state.isDeleted);
      const listed = (body ?? this.#lists.get(answer.etag ?? ''))?.tasks ?? [];
      const order = listed.map(({ created_at, id }) => created_at + id);
      const isSorted = order.every((key, index) => index === 0 || key < (order[index - 1] ?? ''));
      const isSame = listed.length === tasks.length && listed.every((task) => this.#fault(task, version) === null);
      if (!isSorted) return 'it is not in order';
      return isSame ? null : `there were ${tasks.length} tasks`;
    }
    const consequence = consequenceOf(work, this.#history.snapshot(version), this.#limit);
    if (consequence.changes.length > 0) return 'it would have changed something';
    return this.#difference(work, consequence, answer, body);
  }

  #sortStarts(): void {
    this.#starts = [...this.#makers].map(([version, { at }]) => ({ at, version }));
    this.#starts.sort((a, b) => b.at - a.at);
    let lowest = this.#history.counter + 1;
    for (const start of this.#starts) {
      lowest = Math.min(lowest, start.version);
      start.version = lowest;
    }
    this.#starts.reverse();
  }

  /** The highest version that could be there when the answer was made: those that were asked for later could not. */
  #latest({ at }: Answer): number {
    const next = this.#starts.find((start) => start.at > at);
    return next === undefined ? this.#history.counter : next.version - 1;
  }

  /** How the answer differs from what it must be; null if it does not. */
  #difference(work: Work, consequence: Consequence, answer: Answer, body: ResultBody | null): string | null {
    const { results, undoneAt, counter } = consequence;
    const isExecutedBatch = work.isBatch && answer.status === 200;
    if ((undoneAt !== null) !== (work.isBatch && answer.status !== 200)) return 'all were undone, or none';
    if (undoneAt !== null && !undoneAt.includes(body?.index ?? -1)) return `operation ${undoneAt} undid it`;
    if (isExecutedBatch && body?.version !== counter) return `the counter was ${counter}`;
    const answered = isExecutedBatch ? (body?.results ?? []) : [alone(answer, body)];
    if (answered.length !== results.length) return `there are ${results.length} results`;
    const tag = work.isBatch ? null : tagOf(answer.etag);
    for (const [index, result] of results.entries()) {
      const difference = this.#resultDifference(answered[index] ?? {}, result, tag);
      if (difference !== null) return `operation ${index}: ${difference}`;
    }
    return null;
  }

  #resultDifference(answered: ResultBody, expected: Result, tag: number | null): string | null {
    const { status, code, version } = expected;
    if (answered.status !== status || (answered.code ?? null) !== code) return `it must be ${status} ${code}`;
    if (tag !== null && version !== null && tag !== version) return `its ETag must be ${version}`;
    const task = answered.task ?? answered.current ?? null;
    if (task === null) return status === 412 && version !== null ? `it must have version ${version}` : null;
    return task.version === version ? this.#fault(task, version) : `the task had version ${version}`;
  }

  /** What is wrong with a task as it was shown when the counter was at `version` or it was written. */
  #fault(task: Task, version: number): string | null {
    const row = this.#history.at(task.id, version);
    return row?.json === JSON.stringify(task) ? null : `the task was ${row?.json}`;
  }

  #firstId(work: Work, { body }: Answer): string {
    const named = work.operations.map(idOf).find((id) => id !== null);
    return named ?? /"id":"([0-9a-f-]{36})"/.exec(body)?.[1] ?? '';
  }

  #fail(id: string, message: string): void {
    this.#explained += 1;
    this.#checks.expect(false, this.#explained > MAX_EXPLAINED ? message : `${message}\n${this.tell(id)}`);
  }

  /** The last changes of a task, and the last requests that named it. */
  tell(id: string): string {
    const states = this.#history.of(id).slice(-SHOWN);
    const calls = this.#calls.filter(({ request, answers }) => {
      const texts = [request.path, request.body ?? '', ...answers.map(({ body }) => body)];
      return texts.some((text) => text.includes(id));
    });
    const told = calls.slice(-SHOWN).map(({ name, at, floor, sends, request, answers }) => {
      const { method, path, headers, body } = request;
      const said = answers.map(({ at: end, status, body: text }) => `${end}: ${status} ${text.slice(0, 300)}`);
      return `  ${at} ${name} (${sends}x, ${floor} seen) ${method} ${path} ${JSON.stringify(headers)} ${body ?? ''} -> ${said.join(' | ')}`;
    });
    return [`  the last changes of ${id}:`, ...states.map(({ txid, json }) => `  ${txid} ${json}`), ...told].join('\n');
  }
}
