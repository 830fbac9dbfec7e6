import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Judge } from './judge.ts';

export const LINTERS: readonly Judge[] = [
  {
    name: 'redocly',
    needs: ['npm'],
    async run({ npm, exec, document }) {
      await npm('@redocly/cli@2.77.0');
      await exec('npx', ['redocly', 'lint', document, '--extends', 'recommended-strict', '--format', 'stylish'], {
        env: { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
      });
      return 'recommended-strict';
    },
  },
  {
    name: 'spectral',
    needs: ['npm'],
    async run({ npm, exec, document, folder }) {
      await npm('@stoplight/spectral-cli@6.16.3');
      writeFileSync(join(folder, 'ruleset.yaml'), 'extends: [spectral:oas]\n');
      await exec('npx', ['spectral', 'lint', document, '--ruleset', 'ruleset.yaml', '--fail-severity', 'hint']);
      return 'spectral:oas';
    },
  },
];
