import { setTimeout as delay } from 'node:timers/promises';
import { findPostgres, type PostgresPlaces, PostgresServer } from '../../test/support/postgres-server.ts';
import { RunningService, temporaryFolder } from '../../test/support/process.ts';
import { SECRET } from '../../test/support/service.ts';
import { Client } from './client.ts';

/** A PostgreSQL server that waits for the disk as one in earnest does. @throws when this machine has none. */
export async function startPostgres(
  settings: readonly string[] = [],
  places: PostgresPlaces = {},
): Promise<PostgresServer> {
  const programs = findPostgres(process.env.TEST_POSTGRES_BIN);
  if (programs === null) throw new Error('No PostgreSQL programs: set TEST_POSTGRES_BIN');
  return PostgresServer.create(programs, ['fsync=on', ...settings], places);
}

/** Returns once something answers at `port`: where the log is too quiet to say so. */
async function answering(port: string): Promise<string> {
  const origin = `http://127.0.0.1:${port}`;
  const client = new Client();
  const until = performance.now() + 20_000;
  while ((await client.ask(`${origin}/health`)).status !== 200) {
    if (performance.now() > until) throw new Error(`Nothing answers at ${origin}`);
    await delay(20);
  }
  client.close();
  return origin;
}

/** The program itself, started again and again with the same settings in a folder of its own. */
export class Scene {
  readonly settings: Readonly<Record<string, string>>;
  readonly #folder = temporaryFolder();
  readonly #services: RunningService[] = [];
  origin = '';

  constructor(settings: Readonly<Record<string, string>> = {}) {
    this.settings = { JWT_SECRET: new TextDecoder().decode(SECRET), ...settings };
  }

  /** Where an embedded database is kept. */
  get folder(): string {
    return this.#folder.path;
  }

  /** Starts one more process; `origin` is from then on where it listens. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<RunningService> {
    const service = new RunningService({ ...this.settings, ...settings }, this.#folder.path);
    this.#services.push(service);
    const { PORT } = settings;
    this.origin = PORT === undefined ? await service.listening() : await answering(PORT);
    return service;
  }

  /** Whether any of the processes has logged the request called `requestId`. */
  hasLogged(requestId: string): boolean {
    return this.#services.some(({ stdout }) => stdout.includes(requestId));
  }

  /** Ends every process that still runs, and takes the folder away. */
  async clear(): Promise<void> {
    await Promise.all(this.#services.map((service) => service.stop('SIGKILL')));
    this.#folder.remove();
  }
}
