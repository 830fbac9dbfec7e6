import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Contender, compile, type Environment, packageVersions } from './contenders.ts';
import { USERS } from './data.ts';
import { output, ROOT } from './machine.ts';
import type { ServerCommand } from './server-process.ts';

const LABELS = {
  fastapi: 'FastAPI + SQLModel',
  express: 'Express + Drizzle',
  hono: 'Hono + Drizzle',
  pocketbase: 'PocketBase',
} as const;
export type PeerName = keyof typeof LABELS;
export const PEERS: readonly PeerName[] = ['fastapi', 'express', 'hono', 'pocketbase'];

export interface Absent {
  readonly label: string;
  readonly reason: string;
}

/** Why a peer cannot run here. */
class PeerUnavailable extends Error {}

const NODE_FOLDER = join(ROOT, 'bench/peers/node');
const PYTHON_FOLDER = join(ROOT, 'bench/peers/python');
const GO_FOLDER = join(ROOT, 'bench/peers/pocketbase');
const NODE_PACKAGES = {
  express: ['express', 'drizzle-orm', 'pg', 'jsonwebtoken', 'zod'],
  hono: ['hono', '@hono/node-server', 'drizzle-orm', 'pg', 'zod'],
} as const;

const log = (text: string) => process.stderr.write(`${text}\n`);

function postgresPeer(name: PeerName, components: string, server: ServerCommand): Contender[] {
  return [
    { name, label: LABELS[name], role: 'peer', components, api: { kind: 'tasks' }, database: 'postgres', server },
  ];
}

function installNodePeers(): void {
  if (existsSync(join(NODE_FOLDER, 'node_modules/.package-lock.json'))) return;
  log('Installing the Node peers (npm ci)');
  const installed = output('npm', ['ci', '--ignore-scripts', '--loglevel=error'], { cwd: NODE_FOLDER });
  if (installed === null) throw new PeerUnavailable('npm ci failed');
}

function nodePeer(name: keyof typeof NODE_PACKAGES, { databaseUrl, secret }: Environment): Contender[] {
  installNodePeers();
  compile(NODE_FOLDER);
  const components = `Node ${process.version}, ${packageVersions(NODE_FOLDER, NODE_PACKAGES[name])}`;
  return postgresPeer(name, components, {
    command: [process.execPath, join(NODE_FOLDER, `dist/${name}.js`)],
    environment: { NODE_ENV: 'production', JWT_SECRET: secret, DATABASE_URL: databaseUrl },
    cwd: NODE_FOLDER,
  });
}

function installPythonPeer(programs: string): void {
  if (output(join(programs, 'uvicorn'), ['--version']) !== null) return;
  if (output('python3', ['--version']) === null) throw new PeerUnavailable('python3 not found');
  log('Installing the Python peer (pip)');
  const options = { cwd: PYTHON_FOLDER };
  if (output('python3', ['-m', 'venv', '.venv'], options) === null) {
    throw new PeerUnavailable('python3 -m venv failed');
  }
  const install = ['install', '--quiet', '--only-binary', ':all:', '-r', 'requirements.txt'];
  if (output(join(programs, 'pip'), install, options) === null) throw new PeerUnavailable('pip install failed');
}

function fastapi({ databaseUrl, secret }: Environment): Contender[] {
  const programs = join(PYTHON_FOLDER, '.venv/bin');
  installPythonPeer(programs);
  const python = output(join(programs, 'python'), ['--version']) ?? 'Python ?';
  const requirements = readFileSync(join(PYTHON_FOLDER, 'requirements.txt'), 'utf8').split('\n').slice(0, 7);
  const components = [python, ...requirements.map((line) => line.replace('==', ' '))].join(', ');
  return postgresPeer('fastapi', components, {
    command: [join(programs, 'uvicorn'), 'main:app', '--host', '127.0.0.1', '--port', '{port}', '--no-access-log'],
    environment: { JWT_SECRET: secret, DATABASE_URL: databaseUrl },
    cwd: PYTHON_FOLDER,
  });
}

/** In order of preference: the newest PocketBase, if its Go toolchain is installed or can be downloaded, or an older. */
const GO_BUILDS = [
  { toolchain: 'go1.27.4', manifest: 'go.mod' },
  { toolchain: 'local', manifest: 'go1.26.mod' },
] as const;

function buildPocketBase(): string {
  if (output('go', ['version']) === null) throw new PeerUnavailable('Go not found');
  const program = join(GO_FOLDER, 'dist/pocketbase');
  log('Building the PocketBase peer (go build)');
  for (const { toolchain, manifest } of GO_BUILDS) {
    const options = { cwd: GO_FOLDER, environment: { GOTOOLCHAIN: toolchain } };
    const built = output('go', ['build', '-buildvcs=false', `-modfile=${manifest}`, '-o', program, '.'], options);
    if (built !== null) return program;
  }
  throw new PeerUnavailable('go build failed');
}

/** Two servers with a database each, because the second measures lists without their total count. */
function pocketbase({ folder }: Environment): Contender[] {
  const program = buildPocketBase();
  const build = output('go', ['version', '-m', program]) ?? '';
  const versions = [/: go(\S+)/, /pocketbase\tv(\S+)/, /sqlite\tv(\S+)/].map((pattern) => pattern.exec(build)?.[1]);
  const tokensFile = join(folder, 'pocketbase-tokens');
  const directory = join(folder, 'pocketbase');
  if (output(program, ['seed', String(USERS), tokensFile, '--dir', directory]) === null) {
    throw new PeerUnavailable('its tables could not be filled');
  }
  const contender = (skipTotal: boolean): Contender => {
    const dataFolder = skipTotal ? `${directory}-skip-total` : directory;
    if (skipTotal) cpSync(directory, dataFolder, { recursive: true });
    return {
      name: skipTotal ? 'pocketbase-skip-total' : 'pocketbase',
      label: skipTotal ? `${LABELS.pocketbase}, skipTotal=1` : LABELS.pocketbase,
      role: 'peer',
      components: `Go ${versions[0]}, pocketbase ${versions[1]}, modernc.org/sqlite ${versions[2]}`,
      api: { kind: 'pocketbase', tokensFile, skipTotal },
      database: 'embedded',
      ...(skipTotal ? { kinds: ['list', 'list1000', 'mix'] } : {}),
      server: {
        command: [program, 'serve', '--http', '127.0.0.1:{port}', '--dir', dataFolder],
        environment: {},
        cwd: folder,
      },
    };
  };
  return [contender(false), contender(true)];
}

/** Installs and builds the peers of those names. @returns the reasons why some are absent, which are also logged. */
export function preparePeers(names: readonly PeerName[], environment: Environment) {
  const present: Contender[] = [];
  const absent: Absent[] = [];
  for (const name of names) {
    try {
      if (name === 'fastapi') present.push(...fastapi(environment));
      else if (name === 'pocketbase') present.push(...pocketbase(environment));
      else present.push(...nodePeer(name, environment));
    } catch (error) {
      if (!(error instanceof PeerUnavailable)) throw error;
      log(`${LABELS[name]} is absent: ${error.message}`);
      absent.push({ label: LABELS[name], reason: error.message });
    }
  }
  return { present, absent };
}
