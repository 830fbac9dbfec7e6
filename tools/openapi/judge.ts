import { spawn } from 'node:child_process';

/** A tool made by others, run against the document and the service. */
export interface Judge {
  readonly name: string;
  /** Programs that must be on the PATH. */
  readonly needs: readonly string[];
  /** @returns what it found, in a few words. @throws if it found a fault. */
  run(bench: Bench): Promise<string>;
}

/** What a judge works with. */
export interface Bench {
  /** An empty folder of its own. */
  readonly folder: string;
  /** The path of `openapi.json`. */
  readonly document: string;
  /** The origin of the running service. */
  readonly origin: string;
  /** A token of a new user. */
  readonly token: string;
  /** A Python interpreter with `packages`, in an environment in the folder. */
  python(...packages: string[]): Promise<string>;
  /** Installs npm packages into the folder. */
  npm(...packages: string[]): Promise<void>;
  /**
   * Runs a program in the folder, with `API_URL` and `API_TOKEN` in its environment.
   * @returns its standard output. @throws its output if it exits with anything but 0 or runs for over 10 minutes.
   */
  exec(program: string, args: readonly string[], options?: ExecOptions): Promise<string>;
}

export interface ExecOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

const TIMEOUT_MS = 600_000;
const SHOWN_CHARACTERS = 6_000;

/** As `Bench.exec`, with this environment. */
export function exec(program: string, args: readonly string[], options: ExecOptions): Promise<string> {
  const { cwd, env, input = '' } = options;
  const command = [program, ...args].join(' ');
  const child = spawn(program, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'], timeout: TIMEOUT_MS });
  let stdout = '';
  let all = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    all += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    all += text;
  });
  child.stdin.on('error', () => undefined).end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`${command} ended with ${code ?? signal}\n${all.slice(-SHOWN_CHARACTERS)}`));
    });
  });
}
