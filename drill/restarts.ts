import { setTimeout as delay } from 'node:timers/promises';
import type { RunningService } from '../test/support/process.ts';
import type { Drill, Figures } from './support/drill.ts';
import type { DrillRun } from './support/drill-run.ts';
import type { Load } from './support/load.ts';
import type { ServiceUnderTest } from './support/service-under-test.ts';

const RESTARTS = { short: 3, long: 10 };
const CLIENTS = 16;
const BETWEEN_RESTARTS_MS = 500;
/** A load balancer sends requests to a stopping process for so long. */
const BALANCER_DELAY_MS = 100;
const TIMEOUT_SECONDS = { short: 60, long: 120 };

async function sendUntilAborted(load: Load, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { error } = await load.next();
    if (error === 'ECONNREFUSED') await delay(5);
  }
}

/** @param replace stops the process and starts another. @returns the exit code of the stopped one. */
async function restartUnderLoad(
  run: DrillRun,
  service: ServiceUnderTest,
  replace: (old: RunningService) => Promise<number | null>,
): Promise<Figures> {
  const restarts = RESTARTS[run.scale];
  await service.start();
  const load = run.load(service);
  const end = new AbortController();
  const clients = Array.from({ length: CLIENTS }, () => sendUntilAborted(load, end.signal));
  for (let restart = 0; restart < restarts; restart += 1) {
    await delay(BETWEEN_RESTARTS_MS);
    const code = await replace(service.process);
    run.expect(code === 0, `a process exited with ${code}`);
  }
  await delay(BETWEEN_RESTARTS_MS);
  end.abort();
  await Promise.all(clients);

  const answered = load.samples.where(({ error }) => error === null);
  const failed = load.samples.where(({ error }) => error !== null && error !== 'ECONNREFUSED');
  // The kernel resets connections in its accept queue that the process has not accepted: those are not in the log.
  const lost = failed.where(({ requestId }) => service.hasLogged(requestId));
  const errors = [...new Set(lost.all.map(({ error }) => error))].join(', ');
  run.expect(lost.count === 0, `${lost.count} accepted requests had no response: ${errors}`);
  run.expect(answered.otherThan(200, 201) === 0, `requests were answered ${answered.byStatus()}`);
  return {
    restarts,
    'requests answered': answered.count,
    'accepted without a response': lost.count,
    'connections refused': load.samples.where(({ error }) => error === 'ECONNREFUSED').count,
    'connections reset before they were accepted': failed.count - lost.count,
    'slowest response, ms': answered.slowestMs(),
    ...(await load.verifyWrites(run)),
  };
}

export const rollingRestarts: Drill = {
  name: 'rolling-restarts',
  holds: 'processes on PostgreSQL replaced one after another under load: no accepted request without a response',
  timeoutSeconds: TIMEOUT_SECONDS,
  run: async (run) => {
    const service = run.service({ DATABASE_URL: (await run.postgres()).url() });
    return restartUnderLoad(run, service, async (old) => {
      const from = service.origin;
      await service.start();
      const to = service.origin;
      service.origin = from;
      const exit = old.stop();
      await delay(BALANCER_DELAY_MS);
      service.origin = to;
      return exit;
    });
  },
};

export const embeddedRestarts: Drill = {
  name: 'embedded-restarts',
  holds: 'the process of an embedded database stopped and started under load: no accepted request without a response',
  timeoutSeconds: TIMEOUT_SECONDS,
  run: async (run) => {
    const service = run.service();
    return restartUnderLoad(run, service, async (old) => {
      const code = await old.stop();
      await service.start();
      return code;
    });
  },
};
