import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onCore } from '../machine.ts';
import type { LoadOrder, LoadReply, LoadReport } from './order.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

/** The load process, as its parent sees it. */
export class LoadGenerator {
  readonly #process: ChildProcess;

  constructor(secret: string, core: number | null) {
    const [command, ...args] = onCore(core, [process.execPath, '--import', 'tsx', MAIN]);
    this.#process = spawn(command, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { PATH: process.env.PATH, JWT_SECRET: secret },
    });
  }

  /** @throws when an answer was not as it should be; nothing of that run counts. */
  async run(order: LoadOrder): Promise<LoadReport> {
    const reply = await new Promise<LoadReply>((resolve, reject) => {
      const onExit = () => reject(new Error('The load process has ended'));
      this.#process.once('exit', onExit);
      this.#process.once('message', (message: LoadReply) => {
        this.#process.off('exit', onExit);
        resolve(message);
      });
      this.#process.send(order, (error) => {
        if (error !== null) reject(error);
      });
    });
    if (reply.kind === 'failure') throw new Error(reply.message);
    return reply.report;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await ended;
  }
}
