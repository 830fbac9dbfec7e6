import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Judge } from './judge.ts';
import { runPostman } from './postman.ts';

const CLIENTS = new URL('clients/', import.meta.url).pathname;
const TYPESCRIPT = ['typescript@5.9.3', '@types/node@20.19.43'];
const JAR = 'https://repo1.maven.org/maven2/org/openapitools/openapi-generator-cli';
const JAR_VERSION = '7.25.0';

function expectRoundTrip(output: string): void {
  if (!output.includes('round trip done')) throw new Error(`no round trip:\n${output}`);
}

/** Type-checks `main.ts` with everything generated in `client/`, strictly, and runs it. */
async function runTypeScript({ exec, folder }: Bench, source: string): Promise<void> {
  cpSync(join(CLIENTS, source), join(folder, 'main.ts'));
  const compilerOptions = {
    ...{ target: 'es2022', lib: ['es2023', 'dom', 'dom.iterable'], module: 'esnext', moduleResolution: 'bundler' },
    ...{ strict: true, noEmit: true, skipLibCheck: true, types: ['node'] },
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['main.ts', 'client'] }));
  await exec('npx', ['tsc', '-p', '.']);
  expectRoundTrip(await exec('npx', ['tsx', 'main.ts']));
}

/** Runs openapi-generator, and validates the document with it. */
async function generate({ exec, folder, document }: Bench, generator: string, properties: string): Promise<void> {
  const jar = join(folder, 'openapi-generator-cli.jar');
  const response = await fetch(`${JAR}/${JAR_VERSION}/openapi-generator-cli-${JAR_VERSION}.jar`);
  if (!response.ok) throw new Error(`Maven Central answered ${response.status}`);
  writeFileSync(jar, Buffer.from(await response.arrayBuffer()));
  const options = ['-i', document, '-g', generator, '-o', join(folder, 'client')];
  await exec('java', ['-jar', jar, 'generate', ...options, '--additional-properties', properties]);
}

export const GENERATORS: readonly Judge[] = [
  {
    name: 'openapi-generator-python',
    needs: ['java', 'python3'],
    async run(bench) {
      await generate(bench, 'python', 'packageName=openapi_client');
      const python = await bench.python(join(bench.folder, 'client'));
      expectRoundTrip(await bench.exec(python, [join(CLIENTS, 'openapi_generator.py')]));
      return `${JAR_VERSION}, round trip`;
    },
  },
  {
    name: 'openapi-generator-go',
    needs: ['java', 'go'],
    async run(bench) {
      await generate(bench, 'go', 'packageName=client,withGoMod=false');
      cpSync(join(CLIENTS, 'openapi_generator.go'), join(bench.folder, 'main.go'));
      writeFileSync(join(bench.folder, 'go.mod'), 'module example.com/todo\n\ngo 1.21\n');
      await bench.exec('rm', ['-rf', 'client/test']);
      await bench.exec('go', ['mod', 'tidy']);
      await bench.exec('go', ['vet', './...']);
      expectRoundTrip(await bench.exec('go', ['run', '.']));
      return `${JAR_VERSION}, go vet, round trip`;
    },
  },
  {
    name: 'openapi-generator-typescript',
    needs: ['java', 'npm'],
    async run(bench) {
      await bench.npm(...TYPESCRIPT, 'tsx@4.23.15');
      await generate(bench, 'typescript-fetch', 'stringEnums=false');
      await runTypeScript(bench, 'openapi-generator.ts');
      return `${JAR_VERSION}, tsc --strict, round trip`;
    },
  },
  {
    name: 'openapi-python-client',
    needs: ['python3'],
    async run(bench) {
      const python = await bench.python('openapi-python-client==0.29.1', 'ruff==0.14.6');
      const options = ['--path', bench.document, '--meta', 'none', '--output-path', 'todo_client', '--fail-on-warning'];
      await bench.exec(join(bench.folder, 'venv/bin/openapi-python-client'), ['generate', ...options]);
      const env = { PYTHONPATH: bench.folder };
      expectRoundTrip(await bench.exec(python, [join(CLIENTS, 'openapi_python_client.py')], { env }));
      return 'no warnings, round trip';
    },
  },
  {
    name: 'hey-api',
    needs: ['npm'],
    async run(bench) {
      await bench.npm(...TYPESCRIPT, 'tsx@4.23.15', '@hey-api/openapi-ts@0.99.0', 'zod@4.6.7');
      const plugins = "['@hey-api/client-fetch', { name: '@hey-api/sdk', validator: 'zod' }, 'zod']";
      const config = `export default { input: '${bench.document}', output: 'client', plugins: ${plugins} };\n`;
      writeFileSync(join(bench.folder, 'openapi-ts.config.mjs'), config);
      await bench.exec('npx', ['openapi-ts', '-f', 'openapi-ts.config.mjs']);
      await runTypeScript(bench, 'hey-api.ts');
      return 'with zod, tsc --strict, round trip';
    },
  },
  {
    name: 'orval',
    needs: ['npm'],
    async run(bench) {
      await bench.npm(...TYPESCRIPT, 'tsx@4.23.15', 'orval@8.30.0', 'zod@4.6.7');
      const input = JSON.stringify(bench.document);
      const todo = `{ input: ${input}, output: { target: 'client/todo.ts', client: 'fetch', baseUrl: '${bench.origin}' } }`;
      const zod = `{ input: ${input}, output: { target: 'client/todo.zod.ts', client: 'zod' } }`;
      writeFileSync(join(bench.folder, 'orval.config.mjs'), `export default { todo: ${todo}, zod: ${zod} };\n`);
      await bench.exec('npx', ['orval', '--config', 'orval.config.mjs']);
      await runTypeScript(bench, 'orval.ts');
      return 'with zod, tsc --strict, round trip';
    },
  },
  {
    name: 'openapi-typescript',
    needs: ['npm'],
    async run(bench) {
      await bench.npm(...TYPESCRIPT, 'tsx@4.23.15', 'openapi-typescript@7.13.0', 'openapi-fetch@0.17.0');
      await bench.exec('npx', ['openapi-typescript', bench.document, '-o', 'client/todo.ts']);
      await runTypeScript(bench, 'openapi-typescript.ts');
      return 'tsc --strict, round trip';
    },
  },
  {
    name: 'datamodel-codegen',
    needs: ['python3'],
    async run(bench) {
      const python = await bench.python('datamodel-code-generator==0.89.0', 'pydantic==2.14.3');
      const options = ['--input', bench.document, '--input-file-type', 'openapi', '--output', 'models.py'];
      const pydantic = ['--output-model-type', 'pydantic_v2.BaseModel', '--target-python-version', '3.11'];
      await bench.exec(join(bench.folder, 'venv/bin/datamodel-codegen'), [...options, ...pydantic]);
      if (!/pattern=/.test(readFileSync(join(bench.folder, 'models.py'), 'utf8'))) throw new Error('no pattern');
      const env = { PYTHONPATH: bench.folder };
      expectRoundTrip(await bench.exec(python, [join(CLIENTS, 'datamodel_codegen.py')], { env }));
      return 'pydantic 2, round trip';
    },
  },
  {
    name: 'postman',
    needs: ['npm'],
    async run(bench) {
      await bench.npm('openapi-to-postmanv2@6.3.3', 'newman@6.2.2');
      return runPostman(bench);
    },
  },
];
