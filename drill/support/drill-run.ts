import type { PostgresPlaces, PostgresServer } from '../../test/support/postgres-server.ts';
import { Checks } from './checks.ts';
import { Client } from './client.ts';
import { Load } from './load.ts';
import { startPostgres } from './postgres.ts';
import { ServiceUnderTest } from './service-under-test.ts';
import { SmallDisk } from './small-disk.ts';

/** `long` is recorded in `docs/reliability.md`; `short` does the same with fewer repetitions, for CI. */
export type Scale = 'short' | 'long';

/** One run of a drill: creates what the drill needs, and releases it at the end. */
export class DrillRun extends Checks {
  readonly scale: Scale;
  /** Of random choices that can be made again. */
  readonly seed: number;
  readonly #releases: (() => unknown)[] = [];

  constructor(scale: Scale, seed: number) {
    super();
    this.scale = scale;
    this.seed = seed;
  }

  /** A PostgreSQL server with `fsync=on`. @throws when this machine has no PostgreSQL. */
  async postgres(settings: readonly string[] = [], places: PostgresPlaces = {}): Promise<PostgresServer> {
    const server = await startPostgres(settings, places);
    this.onRelease(() => server.remove());
    return server;
  }

  /** A service that has not been started. @param settings environment variables. */
  service(settings: Readonly<Record<string, string>> = {}): ServiceUnderTest {
    const service = new ServiceUnderTest(settings);
    this.onRelease(() => service.remove());
    return service;
  }

  client(): Client {
    const client = new Client();
    this.onRelease(() => client.close());
    return client;
  }

  /** @param fields what every written task has besides its title. */
  load(service: { readonly origin: string }, fields: object = {}): Load {
    return new Load(this.client(), service, fields);
  }

  /** A file system of its own. @throws where mounting one is not permitted. */
  smallDisk(megabytes: number): SmallDisk {
    const disk = new SmallDisk(megabytes);
    this.onRelease(() => disk.remove());
    return disk;
  }

  /** Registers a function to call when the run ends; the last registered is called first. */
  onRelease(release: () => unknown): void {
    this.#releases.unshift(release);
  }

  async release(): Promise<void> {
    for (const release of this.#releases.splice(0)) await release();
  }
}
