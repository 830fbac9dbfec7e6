import { setTimeout as delay } from 'node:timers/promises';
import { RunningService } from '../test/support/process.ts';
import { Client } from './support/client.ts';
import { type Drill, Findings } from './support/drill.ts';
import { Ledger } from './support/ledger.ts';
import { Scene } from './support/scene.ts';

const INTRUDERS = { short: 3, long: 10 };
const WRITES_PER_SECOND = 200;

export const secondProcess: Drill = {
  name: 'second-process',
  holds:
    'a second process on the same DATA_DIR refuses to start, names the holder and harms nothing; a dead holder is replaced at once',
  within: { short: 60, long: 120 },
  run: async (scale) => {
    const findings = new Findings();
    const scene = new Scene();
    const client = new Client();
    const ledger = new Ledger(client);
    let refused = 0;
    const intrude = async (holder: RunningService) => {
      const intruder = new RunningService(scene.settings, scene.folder);
      const code = await intruder.ended();
      const named = intruder.stderr.includes(`in use by process ${holder.child.pid} on host `);
      if (code === 1 && named) refused += 1;
      else findings.faults.push(`a second process ended with ${code}: ${intruder.stderr}`);
    };
    try {
      const atOnce = Array.from({ length: 5 }, () => new RunningService(scene.settings, scene.folder));
      const outcomes = await Promise.allSettled(atOnce.map((service) => service.listening()));
      const serving = atOnce.filter((_service, index) => outcomes[index]?.status === 'fulfilled');
      findings.expect(serving.length === 1, `of 5 processes started at once ${serving.length} serve`);
      await Promise.all(serving.map((service) => service.stop()));

      let holder = await scene.start();
      const over = new AbortController();
      const writing = ledger.writeSteadily(() => scene.origin, WRITES_PER_SECOND, 120, over.signal);
      for (let number = 0; number < INTRUDERS[scale]; number += 1) await intrude(holder);
      over.abort();
      await writing;
      const others = ledger.otherThan(201);
      findings.expect(others === 0, `${others} writes meanwhile were not answered 201 (${ledger.answers()})`);

      holder.child.kill('SIGSTOP');
      await delay(scale === 'long' ? 12_000 : 0); // longer than a holder on another host may be silent
      await intrude(holder);
      holder.child.kill('SIGCONT');
      // For a moment it tells whoever asks to come back, as after any stall.
      let awake = await ledger.write(scene.origin);
      for (let again = 0; awake.status === 503 && again < 20; again += 1) {
        await delay(100);
        awake = await ledger.write(scene.origin);
      }
      findings.expect(awake.status === 201, `a holder that was suspended answered ${awake.status} afterwards`);

      await holder.stop('SIGKILL');
      const from = performance.now();
      holder = await scene.start();
      const replacedMs = Math.round(performance.now() - from);
      const audit = await ledger.audit(scene.origin);
      findings.expect(audit.lost === 0 && audit.wrong === 0, `${audit.lost} writes lost, ${audit.wrong} wrong`);
      const figures = {
        'started at once': 5,
        'of them serve': serving.length,
        'second processes': INTRUDERS[scale] + 1,
        refused,
        'writes meanwhile': ledger.sent,
        ...audit,
        'ms to serve after the holder was killed': replacedMs,
      };
      return { figures, faults: findings.faults };
    } finally {
      client.close();
      await scene.clear();
    }
  },
};
