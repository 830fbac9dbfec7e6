import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Api } from './api.ts';
import type { RequestKind } from './load/workload.ts';
import { commitOf, output, ROOT } from './machine.ts';
import type { ServerCommand } from './server-process.ts';

/** A server to measure. */
export interface Contender {
  readonly name: string;
  readonly label: string;
  readonly role: 'service' | 'before' | 'variant' | 'floor' | 'peer';
  /** Runtime and packages with their versions. */
  readonly components: string;
  readonly api: Api;
  readonly database: 'postgres' | 'embedded';
  /** The only kinds of request to measure; all if absent. */
  readonly kinds?: readonly RequestKind[];
  readonly server: ServerCommand;
}

export interface Environment {
  readonly databaseUrl: string;
  readonly secret: string;
  /** A temporary directory. */
  readonly folder: string;
}

const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

export function packageVersions(folder: string, names: readonly string[]): string {
  const manifest: { readonly dependencies?: Readonly<Record<string, string>> } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  );
  return names.map((name) => `${name} ${manifest.dependencies?.[name] ?? '?'}`).join(', ');
}

export function compile(folder: string): void {
  if (output(process.execPath, [TSC, '-p', folder]) === null) throw new Error(`tsc -p ${folder} failed`);
}

/** The built program of the checkout at `root`. @returns its settings without those of a database. */
export function serviceProgram(root: string, { secret, folder }: Environment): ServerCommand {
  const environment = {
    ENVIRONMENT: 'production',
    HOST: '127.0.0.1',
    JWT_SECRET: secret,
    LOG_LEVEL: 'info',
    RATE_LIMIT_PER_MINUTE: '1000000',
  };
  return { command: [process.execPath, join(root, 'dist/main.js')], environment, cwd: folder };
}

export const withSettings = (server: ServerCommand, settings: Readonly<Record<string, string>>): ServerCommand => ({
  ...server,
  environment: { ...server.environment, ...settings },
});

export const withDataDirectory = (server: ServerCommand, directory: string) =>
  withSettings(server, { DATA_DIR: directory });

function build(root: string, environment: Environment, databaseUrl: string) {
  return {
    components: `Node ${process.version}, ${packageVersions(root, ['fastify', 'pg', 'jose'])}`,
    api: { kind: 'tasks' },
    database: 'postgres',
    server: withSettings(serviceProgram(root, environment), { DATABASE_URL: databaseUrl }),
  } as const;
}

export function service(environment: Environment): Contender {
  return { name: 'service', label: 'todo-api', role: 'service', ...build(ROOT, environment, environment.databaseUrl) };
}

/** @throws if the checkout at `path` has no build. */
export function checkBuild(path: string): void {
  if (!existsSync(join(path, 'dist/main.js'))) throw new Error(`--before: ${path} has no dist/main.js; build it first`);
}

/** Another build of the service, with tables of its own. */
export function before(path: string, environment: Environment, databaseUrl: string): Contender {
  const root = resolve(path);
  const contender = build(root, environment, databaseUrl);
  const components = `commit ${commitOf(root)}, ${contender.components}`;
  return { name: 'before', label: 'before', role: 'before', ...contender, components };
}

/** The service with one setting changed, given as `NAME=VALUE`. */
export function variant(contender: Contender, setting: string): Contender {
  const [name = '', value = ''] = setting.split('=');
  const server = withSettings(contender.server, { [name]: value });
  return { ...contender, name: setting, label: `todo-api, ${setting}`, role: 'variant', server };
}

const FLOORS = [
  { name: 'floor', label: 'floor: node:http + pg', connections: 'pg' },
  { name: 'floor-own', label: 'floor: node:http + own connections', connections: 'own' },
] as const;

/** The same work without a framework: over the pipeline of `pg`, and over the service's own connection pool. */
export function floors({ databaseUrl, secret, folder }: Environment): Contender[] {
  compile(join(ROOT, 'bench/floor'));
  const environment = { NODE_ENV: 'production', JWT_SECRET: secret, DATABASE_URL: databaseUrl };
  return FLOORS.map(({ name, label, connections }) => ({
    name,
    label,
    role: 'floor',
    components: `Node ${process.version}, ${packageVersions(ROOT, ['pg'])}`,
    api: { kind: 'tasks' },
    database: 'postgres',
    server: {
      command: [process.execPath, join(ROOT, 'bench/floor/dist/floor.js')],
      environment: { ...environment, FLOOR_CONNECTIONS: connections },
      cwd: folder,
    },
  }));
}
