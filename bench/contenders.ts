import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { output, ROOT } from './machine.ts';
import type { ServerCommand } from './running-server.ts';

/** A server that is measured. */
export interface Contender {
  readonly name: string;
  readonly label: string;
  readonly role: 'service' | 'variant' | 'floor' | 'peer';
  /** What it is made of, with versions. */
  readonly madeOf: string;
  readonly server: ServerCommand;
}

export interface Absent {
  readonly name: string;
  readonly label: string;
  readonly reason: string;
}

export interface Surroundings {
  readonly databaseUrl: string;
  readonly secret: string;
  /** An empty folder to start servers in. */
  readonly folder: string;
}

export const PEERS = ['fastapi', 'express', 'hono'] as const;
export type PeerName = (typeof PEERS)[number];

const NODE_PEERS = join(ROOT, 'bench/peers/node');
const PYTHON_PEERS = join(ROOT, 'bench/peers/python');
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

type Manifest = { readonly dependencies?: Readonly<Record<string, string>> };

function versions(folder: string, names: readonly string[]): string {
  const manifest: Manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return names.map((name) => `${name} ${manifest.dependencies?.[name] ?? '?'}`).join(', ');
}

function compile(folder: string): void {
  if (output(process.execPath, [TSC, '-p', folder]) === null) throw new Error(`${folder} could not be compiled`);
}

/** The settings of the service that do not say where its tasks are. */
export function serviceEnvironment(secret: string): Record<string, string> {
  return {
    ENVIRONMENT: 'production',
    HOST: '127.0.0.1',
    JWT_SECRET: secret,
    LOG_LEVEL: 'info',
    RATE_LIMIT_PER_MINUTE: '1000000',
  };
}

export const SERVICE_MAIN = join(ROOT, 'dist/main.js');

export function service({ databaseUrl, secret, folder }: Surroundings): Contender {
  return {
    name: 'service',
    label: 'todo-api',
    role: 'service',
    madeOf: `Node ${process.version}, ${versions(ROOT, ['fastify', 'pg', 'jose'])}`,
    server: {
      command: [process.execPath, SERVICE_MAIN],
      environment: { ...serviceEnvironment(secret), DATABASE_URL: databaseUrl },
      cwd: folder,
    },
  };
}

/** The service with one setting changed, given as `NAME=VALUE`. */
export function variant(usual: Contender, setting: string): Contender {
  const [name = '', value = ''] = setting.split('=');
  const environment = { ...usual.server.environment, [name]: value };
  return {
    ...usual,
    name: setting,
    label: `todo-api, ${setting}`,
    role: 'variant',
    server: { ...usual.server, environment },
  };
}

const FLOORS = [
  { name: 'floor', label: 'floor: node:http + pg', connections: 'pg' },
  { name: 'floor-own', label: 'floor: node:http + own connections', connections: 'own' },
] as const;

/** The same work without a framework: over `pg`'s pipeline, and over the connections of the service itself. */
export function floors({ databaseUrl, secret, folder }: Surroundings): Contender[] {
  compile(join(ROOT, 'bench/floor'));
  return FLOORS.map(({ name, label, connections }) => ({
    name,
    label,
    role: 'floor',
    madeOf: `Node ${process.version}, ${versions(ROOT, ['pg'])}`,
    server: {
      command: [process.execPath, join(ROOT, 'bench/floor/dist/floor.js')],
      environment: {
        NODE_ENV: 'production',
        JWT_SECRET: secret,
        DATABASE_URL: databaseUrl,
        FLOOR_CONNECTIONS: connections,
      },
      cwd: folder,
    },
  }));
}

const NODE_MADE_OF: Readonly<Record<Exclude<PeerName, 'fastapi'>, { label: string; packages: readonly string[] }>> = {
  express: { label: 'Express + Drizzle', packages: ['express', 'drizzle-orm', 'pg', 'jsonwebtoken', 'zod'] },
  hono: { label: 'Hono + Drizzle', packages: ['hono', '@hono/node-server', 'drizzle-orm', 'pg', 'zod'] },
};

/** Installs what is not there yet. @returns why it could not, or null. */
function installNodePeers(): string | null {
  if (!existsSync(join(NODE_PEERS, 'node_modules/.package-lock.json'))) {
    process.stderr.write('Installing the Node peers (npm ci) …\n');
    if (output('npm', ['ci', '--ignore-scripts', '--loglevel=error'], NODE_PEERS) === null) return 'npm ci failed';
  }
  compile(NODE_PEERS);
  return null;
}

function installPythonPeers(): string | null {
  const programs = join(PYTHON_PEERS, '.venv/bin');
  if (output(join(programs, 'uvicorn'), ['--version']) !== null) return null;
  if (output('python3', ['--version']) === null) return 'no python3 here';
  process.stderr.write('Installing the Python peer (pip) …\n');
  if (output('python3', ['-m', 'venv', join(PYTHON_PEERS, '.venv')]) === null) return 'python3 -m venv failed';
  const requirements = join(PYTHON_PEERS, 'requirements.txt');
  const installed = output(join(programs, 'pip'), ['install', '--quiet', '--only-binary', ':all:', '-r', requirements]);
  return installed === null ? 'pip install failed' : null;
}

function nodePeer(name: Exclude<PeerName, 'fastapi'>, { databaseUrl, secret }: Surroundings): Contender {
  const { label, packages } = NODE_MADE_OF[name];
  return {
    name,
    label,
    role: 'peer',
    madeOf: `Node ${process.version}, ${versions(NODE_PEERS, packages)}`,
    server: {
      command: [process.execPath, join(NODE_PEERS, `dist/${name}.js`)],
      environment: { NODE_ENV: 'production', JWT_SECRET: secret, DATABASE_URL: databaseUrl },
      cwd: NODE_PEERS,
    },
  };
}

function fastapi({ databaseUrl, secret }: Surroundings): Contender {
  const pinned = readFileSync(join(PYTHON_PEERS, 'requirements.txt'), 'utf8').split('\n').slice(0, 7);
  const programs = join(PYTHON_PEERS, '.venv/bin');
  const python = output(join(programs, 'python'), ['--version']) ?? 'Python ?';
  return {
    name: 'fastapi',
    label: 'FastAPI + SQLModel',
    role: 'peer',
    madeOf: `${python}, ${pinned.map((line) => line.replace('==', ' ')).join(', ')}`,
    server: {
      command: [join(programs, 'uvicorn'), 'main:app', '--host', '127.0.0.1', '--port', '{port}', '--no-access-log'],
      environment: { JWT_SECRET: secret, DATABASE_URL: databaseUrl },
      cwd: PYTHON_PEERS,
    },
  };
}

/** The peers of those names that can be run here, and why the others cannot. */
export function findPeers(names: readonly PeerName[], surroundings: Surroundings) {
  const present: Contender[] = [];
  const absent: Absent[] = [];
  const nodeTrouble = names.some((name) => name !== 'fastapi') ? installNodePeers() : null;
  for (const name of names) {
    const reason = name === 'fastapi' ? installPythonPeers() : nodeTrouble;
    const label = name === 'fastapi' ? 'FastAPI + SQLModel' : NODE_MADE_OF[name].label;
    if (reason !== null) absent.push({ name, label, reason });
    else present.push(name === 'fastapi' ? fastapi(surroundings) : nodePeer(name, surroundings));
  }
  return { present, absent };
}
