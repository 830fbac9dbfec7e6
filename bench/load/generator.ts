import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onCores } from '../machine.ts';
import type { LoadCommand, LoadReply, LoadResult } from './workload.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

/** The load process, seen from its parent. */
export class LoadGenerator {
  readonly #process: ChildProcess;

  constructor(secret: string, cores: readonly number[] | null) {
    const [command, ...args] = onCores(cores, [process.execPath, '--import', 'tsx', MAIN]);
    this.#process = spawn(command, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { PATH: process.env.PATH, JWT_SECRET: secret },
    });
  }

  /** @throws if any request of the run failed. */
  async run(command: LoadCommand): Promise<LoadResult> {
    const reply = await new Promise<LoadReply>((resolve, reject) => {
      const onExit = () => reject(new Error('The load process exited'));
      this.#process.once('exit', onExit);
      this.#process.once('message', (message: LoadReply) => {
        this.#process.off('exit', onExit);
        resolve(message);
      });
      this.#process.send(command, (error) => {
        if (error !== null) reject(error);
      });
    });
    if ('error' in reply) throw new Error(reply.error);
    return reply.result;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await exited;
  }
}
