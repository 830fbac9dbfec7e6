import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { killOnExit } from './children.ts';

/** The flag of `scripts/test.ts` that shortens the start of the embedded database; absent in drills. */
const V8_FLAGS = process.execArgv.filter((flag) => flag === '--liftoff-only');

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** A process of `node dist/main.js`, with nothing but PATH, `PORT=0` and `settings` in its environment. */
export class RunningService {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #exit: Promise<number | null>;

  constructor(settings: Record<string, string>, cwd: string, args: readonly string[] = [], main = MAIN) {
    this.child = spawn(process.execPath, [...V8_FLAGS, main, ...args], {
      cwd,
      env: { PATH: process.env.PATH ?? '', PORT: '0', ...settings },
    });
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    killOnExit(this.child);
    this.#exit = new Promise((resolve) => this.child.once('close', resolve));
  }

  /** @returns the origin it listens on. @throws if it exits before. */
  async listening(): Promise<string> {
    let exited = false;
    void this.#exit.then(() => {
      exited = true;
    });
    for (;;) {
      const port = /"port":(\d+),"database"/.exec(this.stdout)?.[1];
      if (port !== undefined) return `http://127.0.0.1:${port}`;
      if (exited) throw new Error(`exited before it listened: ${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Resolves when the process exits. @returns the exit code, or null if a signal killed it. */
  ended(): Promise<number | null> {
    return this.#exit;
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.#exit;
  }
}

export function temporaryFolder(parent = tmpdir()): { path: string; remove: () => void } {
  const path = mkdtempSync(join(parent, 'todo-api-run-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
