import { join } from 'node:path';
import type { Judge } from './judge.ts';

const HOOKS = new URL('.', import.meta.url).pathname;
const SEEDS = [1, 2, 3, 4, 5];
/** Its answer has no end. */
const STREAM = '/api/events';

export const FUZZERS: readonly Judge[] = [
  {
    name: 'schemathesis',
    needs: ['python3'],
    async run({ python, exec, folder, document, origin, token }) {
      await python('schemathesis==4.32.5');
      let cases = 0;
      let operations = '';
      for (const seed of SEEDS) {
        const options = [
          ...['--seed', String(seed), '--max-examples', '100', '--checks', 'all', '--continue-on-failure'],
          ...['--exclude-path', STREAM],
        ];
        const output = await exec(
          join(folder, 'venv/bin/schemathesis'),
          [
            '--config-file',
            join(HOOKS, 'schemathesis.toml'),
            'run',
            document,
            '--url',
            origin,
            '--header',
            `Authorization: Bearer ${token}`,
            ...options,
          ],
          { env: { SCHEMATHESIS_HOOKS: 'schemathesis_hooks', PYTHONPATH: HOOKS } },
        );
        const [, selected, all] = /(\d+) selected \/ (\d+) total/.exec(output) ?? [];
        if (selected === undefined || Number(selected) + 1 !== Number(all))
          throw new Error(`operations left out:\n${output}`);
        operations = selected;
        cases += Number(/(\d+) generated/.exec(output)?.[1]);
      }
      return `${operations} operations, ${cases} requests with ${SEEDS.length} seeds, with sequences along links`;
    },
  },
];
