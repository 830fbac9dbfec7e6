import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Drill } from './support/drill.ts';
import { checkPhase, formatPhase, PHASE_RATES } from './support/phase.ts';

const PRELOAD = new URL('./support/faulty-worker.mjs', import.meta.url).href;

/** A hanging thread is detected after 10.2 s, at its start after 30 s. */
const FAULTS = [
  { name: 'exits', signal: 'SIGWINCH', hangAtStart: false, recoveryMs: 5_000, rounds: { short: 1, long: 5 } },
  { name: 'hangs', signal: 'SIGUSR2', hangAtStart: false, recoveryMs: 15_000, rounds: { short: 1, long: 5 } },
  {
    name: 'hangs, and the next one at its start',
    signal: 'SIGUSR2',
    hangAtStart: true,
    recoveryMs: 55_000,
    rounds: { short: 0, long: 1 },
  },
] as const;

export const embeddedWorker: Drill = {
  name: 'embedded-worker',
  holds:
    "the embedded database's thread exits or hangs: it is replaced, requests are answered meanwhile, no write lost",
  timeoutSeconds: { short: 60, long: 300 },
  run: async (run) => {
    const service = run.service({ NODE_OPTIONS: `--import=${PRELOAD}` });
    const { child } = await service.start();
    const load = run.load(service);
    await load.createTaskToRead();
    const figures: Record<string, string> = {};
    const threads = () => service.process.stderr.split('thread started').length - 1;
    for (const { name, signal, hangAtStart, recoveryMs, rounds } of FAULTS) {
      for (let round = 1; round <= rounds[run.scale]; round += 1) {
        const from = performance.now();
        const before = threads();
        load.start(PHASE_RATES);
        await delay(300);
        if (hangAtStart) writeFileSync(join(service.directory, 'hang-at-start'), '');
        const injected = performance.now();
        child.kill(signal);
        await delay(100);
        const recovered = await load.untilServing(recoveryMs);
        const servingMs = Math.round(performance.now() - injected);
        await load.stop();
        const phase = load.samples.sentBetween(from, performance.now());
        checkPhase(run, `thread ${name}`, phase, { writes: [201, 500, 503], reads: [200, 500, 503] });
        run.expect(threads() > before, `thread ${name}: it was not replaced, so there was no fault`);
        run.expect(recovered !== null, `thread ${name}: not serving again within ${recoveryMs} ms`);
        figures[`thread ${name} (${round})`] = `${formatPhase(phase)}; serving after ${servingMs} ms`;
      }
    }
    run.expect(service.isRunning, 'the process has exited');
    return { ...figures, ...(await load.verifyWrites(run)) };
  },
};
