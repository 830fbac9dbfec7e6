import { setTimeout as delay } from 'node:timers/promises';
import { Client } from './support/client.ts';
import type { Drill } from './support/drill.ts';
import { terminateConnections } from './support/postgres.ts';
import { succeeded } from './support/samples.ts';

const RATES = { read: 100, write: 100 };
const ROUNDS = {
  short: { oneByOne: 12, allAtOnce: 5, idle: 4 },
  long: { oneByOne: 200, allAtOnce: 60, idle: 30 },
};

export const pgConnectionsKilled: Drill = {
  name: 'pg-connections-killed',
  holds: 'PostgreSQL terminates connections, in use or idle: no read fails, no acknowledged write lost, none repeated',
  timeoutSeconds: { short: 40, long: 180 },
  run: async (run) => {
    const server = await run.postgres();
    const service = run.service({ DATABASE_URL: server.url() });
    const rounds = ROUNDS[run.scale];
    await service.start();
    const load = run.load(service);
    let terminated = 0;
    let failedAfter = 0;
    const client = new Client();
    const terminateAndSend = async (most?: number) => {
      terminated += await terminateConnections(server, most);
      // Once this is answered, the process has read the end of the connections: they were readable before it was.
      await client.request(`${service.origin}/health`);
      const next = terminated % 2 === 0 ? [load.read(), load.write()] : [load.write(), load.read()];
      failedAfter += (await Promise.all(next)).filter((sample) => !succeeded(sample)).length;
    };
    load.start(RATES);
    for (let round = 0; round < rounds.oneByOne; round += 1) {
      await delay(100);
      await terminateAndSend(1);
    }
    for (let round = 0; round < rounds.allAtOnce; round += 1) {
      await delay(300);
      await terminateAndSend();
    }
    await load.stop();
    for (let round = 0; round < rounds.idle; round += 1) await terminateAndSend();
    client.close();

    const [reads, writes] = [load.samples.of('read'), load.samples.of('write')];
    run.expect(service.isRunning, 'the process has exited');
    run.expect(failedAfter === 0, `${failedAfter} requests sent after connections were closed failed`);
    run.expect(reads.otherThan(200) === 0, `reads were answered ${reads.byStatus()}`);
    run.expect(writes.otherThan(201, 500) === 0, `writes were answered ${writes.byStatus()}`);
    run.expect(writes.withStatus(500).count > 0, 'no connection was terminated with a write in flight');
    return { 'connections terminated': terminated, ...(await load.verify(run)) };
  },
};
