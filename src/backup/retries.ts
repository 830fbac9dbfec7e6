import { setTimeout as delay } from 'node:timers/promises';
import { type Operator, OperatorError } from './admin-access.ts';

/** How long a database may be busy, restart or wake up before the work is given up. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 500;

/**
 * An operator that asks again what failed for a passing reason, for up to a minute. Every statement of an operator may be run
 * twice: what it puts in is then there already.
 */
export function patiently(operator: Operator, onTrouble: (message: string) => void): Operator {
  return {
    run: async (name, values) => {
      const from = performance.now();
      for (let tries = 1; ; tries += 1) {
        try {
          return await operator.run(name, values);
        } catch (error) {
          const passing = error instanceof OperatorError && error.passing;
          if (!passing || performance.now() - from > PATIENCE_MS) throw error;
          if (tries === 1) onTrouble(`${error.message}; trying again`);
          await delay(PAUSE_MS);
        }
      }
    },
    close: () => operator.close(),
  };
}
