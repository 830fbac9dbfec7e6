import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from './support/client.ts';
import { type Drill, Findings } from './support/drill.ts';
import { Ledger } from './support/ledger.ts';
import { Scene } from './support/scene.ts';
import { expectAnswers, expectNothingLost, Traffic, told } from './support/traffic.ts';

const PRELOAD = new URL('./support/sick-engine.mjs', import.meta.url).href;

/** What befalls the thread, and how long it may take to be whole again: a hanging one is noticed after 10 s, 30 s at its start. */
const ILLS = {
  'thread dies': { signal: 'SIGWINCH', hangsAtStart: false, wholeWithinMs: 5_000 },
  'thread hangs': { signal: 'SIGUSR2', hangsAtStart: false, wholeWithinMs: 15_000 },
  'thread hangs, and the next while it starts': { signal: 'SIGUSR2', hangsAtStart: true, wholeWithinMs: 55_000 },
} as const;
type Ill = keyof typeof ILLS;

const ROUNDS: Readonly<Record<'short' | 'long', Readonly<Record<Ill, number>>>> = {
  short: { 'thread dies': 1, 'thread hangs': 1, 'thread hangs, and the next while it starts': 0 },
  long: { 'thread dies': 5, 'thread hangs': 5, 'thread hangs, and the next while it starts': 1 },
};

export const embeddedHang: Drill = {
  name: 'embedded-hang',
  holds:
    'a thread of the embedded database that dies or hangs is replaced; requests are answered meanwhile, none is lost',
  within: { short: 60, long: 300 },
  run: async (scale) => {
    const scene = new Scene({ NODE_OPTIONS: `--import=${PRELOAD}` });
    const client = new Client();
    const ledger = new Ledger(client);
    const findings = new Findings();
    const figures: Record<string, number | string> = {};
    try {
      const service = await scene.start();
      const origin = () => scene.origin;
      const traffic = await Traffic.prepare(client, ledger, scene.origin);
      const suffer = async (ill: Ill, round: number) => {
        const { signal, hangsAtStart, wholeWithinMs } = ILLS[ill];
        const over = new AbortController();
        const running = traffic.run(origin, wholeWithinMs / 1000 + 10, over.signal);
        await delay(300);
        if (hangsAtStart) writeFileSync(join(scene.folder, 'hang-at-start'), '');
        service.child.kill(signal);
        await delay(100);
        const whole = await traffic.untilWhole(origin, wholeWithinMs);
        over.abort();
        const spell = await running;
        expectAnswers(findings, `${ill}: meanwhile`, spell, { writes: [201, 500, 503], reads: [200, 500, 503] });
        const failed = spell.writes.otherThan(201);
        findings.expect(failed > 0, `${ill}: no write failed; the thread was well`);
        findings.expect(whole !== null, `${ill}: not whole again within ${wholeWithinMs} ms`);
        figures[`${ill} (${round})`] = `${told(spell)}; whole after ${whole === null ? 'all' : `${whole + 100} ms`}`;
      };
      for (const ill of Object.keys(ILLS).filter((name): name is Ill => name in ILLS)) {
        for (let round = 1; round <= ROUNDS[scale][ill]; round += 1) await suffer(ill, round);
      }
      findings.expect(service.child.exitCode === null, 'the process has ended');
      const audit = await expectNothingLost(findings, ledger, scene.origin);
      return { figures: { 'writes sent': ledger.sent, ...figures, ...audit }, faults: findings.faults };
    } finally {
      client.close();
      await scene.clear();
    }
  },
};
