import type { Client } from './client.ts';
import { atRate } from './load.ts';
import { type Sample, Samples } from './samples.ts';

const OTHERS = 40;
const OTHERS_TASKS = 20;
const OTHERS_PER_SECOND = 50;

/** Well-behaved users, each with a few tasks: lists, gets and creates in turn, at a steady rate. */
export class Others {
  readonly #client: Client;
  readonly #origin: string;
  readonly #tasks: string[] = [];
  #sent = 0;

  constructor(client: Client, origin: string) {
    this.#client = client;
    this.#origin = origin;
  }

  async seed(): Promise<void> {
    for (let index = 0; index < OTHERS; index += 1) {
      const bodies = Array.from({ length: OTHERS_TASKS }, (_, task) => ({ title: `task ${task}` }));
      const created = await Promise.all(bodies.map((body) => this.#create(index, body)));
      this.#tasks.push(JSON.parse(created[0]?.body ?? '{}').id);
    }
  }

  /** Sends requests until `attack` has ended. */
  async during(attack: Promise<unknown>): Promise<Samples> {
    const samples: Sample[] = [];
    const abort = new AbortController();
    const sending = atRate(OTHERS_PER_SECOND, abort.signal, async () => samples.push(await this.#next()));
    await attack.finally(() => abort.abort());
    await sending;
    return new Samples(samples);
  }

  async #next(): Promise<Sample> {
    this.#sent += 1;
    const index = this.#sent % OTHERS;
    const user = `other_${index}`;
    const url = `${this.#origin}/api/tasks`;
    const turn = this.#sent % 3;
    if (turn === 0) return { kind: 'write', ...(await this.#create(index, { title: 'Buy oat milk' })) };
    const path = turn === 1 ? url : `${url}/${this.#tasks[index]}`;
    return { kind: 'read', ...(await this.#client.request(path, { user })) };
  }

  #create(index: number, body: object) {
    return this.#client.request(`${this.#origin}/api/tasks`, { method: 'POST', user: `other_${index}`, body });
  }
}
