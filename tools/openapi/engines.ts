import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Bench, Judge } from './judge.ts';

const SOURCES = new URL('engines/', import.meta.url).pathname;

interface Limits {
  readonly pattern: string;
  readonly minLength: number;
  readonly maxLength: number;
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index));

/** Every character that some engine takes for white space, and others beside them. */
const CHARACTERS = [
  ...range(0x00, 0x20),
  ...range(0x7f, 0xa0),
  ...['\u00ad', '\u034f', '\u1680', '\u180e', ...range(0x2000, 0x200f), ...range(0x2028, 0x202f)],
  ...['\u205f', '\u2060', '\u2800', '\u3000', '\u3164', '\ufeff', '\uffff', '\u{10ffff}', 'é', '😀', '👩‍👩‍👧', 'x'],
];

const TEXTS = [
  ...['', 'x\n', '\nx', 'x\n\n', '\0\n', 'x\0', '\0x', 'a\nb', '$', '^', '\\'],
  ...['😀'.repeat(200), '😀'.repeat(201), 'x'.repeat(200), 'x'.repeat(201), 'é'.repeat(200)],
  ...CHARACTERS.flatMap((character) => [character, character.repeat(3), `x${character}x`]),
];

/** The titles of white space alone that an engine judges otherwise than the service, by their code point. */
interface Differences {
  readonly allowed: readonly number[];
  readonly refused: readonly number[];
}

const codes = (characters: readonly string[]) => characters.map((character) => character.codePointAt(0) ?? 0);

/** White space beyond ASCII by ECMA-262 and by `trim`, and U+000B, which Go's `\s` lacks. */
const BEYOND_ASCII = codes([
  ...['\v', '\u00a0', '\u1680', ...range(0x2000, 0x200a), '\u2028', '\u2029', '\u202f', '\u205f', '\u3000', '\ufeff'],
]);
const UNICODE_WHITE_SPACE: Differences = { allowed: [0xfeff], refused: [0x85] };
const PYTHON_IS_SPACE: Differences = { allowed: [0xfeff], refused: [0x1c, 0x1d, 0x1e, 0x1f, 0x85] };

const name = (code: number) => `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;

let asked: Promise<boolean[]> | null = null;

/** Whether the service takes each text as a title. */
async function askService({ origin, token }: Bench): Promise<boolean[]> {
  const send = (method: string, path: string, title: string) =>
    fetch(`${origin}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ title }),
    });
  const created: { id: string } = JSON.parse(await (await send('POST', '/api/tasks', 'x')).text());
  const valid: boolean[] = [];
  for (const text of TEXTS) {
    const { status } = await send('PATCH', `/api/tasks/${created.id}`, text);
    if (status !== 200 && status !== 400) throw new Error(`${JSON.stringify(text)} was answered ${status}`);
    valid.push(status === 200);
  }
  return valid;
}

/** A judge that runs the document's title limits in a regular expression engine. */
function engine(
  judge: Pick<Judge, 'name' | 'needs'>,
  expected: Differences,
  judgeTexts: (bench: Bench, limits: Limits) => Promise<readonly boolean[]>,
): Judge {
  return {
    ...judge,
    async run(bench) {
      const document = JSON.parse(readFileSync(bench.document, 'utf8'));
      const limits: Limits = document.components.schemas.TaskCreate.properties.title;
      asked ??= askService(bench);
      const fromService = await asked;
      const fromEngine = await judgeTexts(bench, limits);
      const faults: string[] = [];
      const found = { allowed: new Set<number>(), refused: new Set<number>() };
      for (const [index, text] of TEXTS.entries()) {
        if (fromEngine[index] === fromService[index]) continue;
        const [first = '', ...more] = text;
        const isOneCharacter = more.every((each) => each === first);
        if (isOneCharacter) found[fromEngine[index] ? 'allowed' : 'refused'].add(first.codePointAt(0) ?? 0);
        else faults.push(JSON.stringify(text));
      }
      for (const kind of ['allowed', 'refused'] as const) {
        const [is, should] = [[...found[kind]].sort(), [...expected[kind]].sort()].map((list) => list.map(name).join());
        if (is !== should) faults.push(`blank titles ${kind}, other than by the service: ${is}; expected: ${should}`);
      }
      if (faults.length > 0) throw new Error(faults.join('\n'));
      return `${TEXTS.length} titles; judged otherwise: of ${found.allowed.size + found.refused.size} characters alone`;
    },
  };
}

const parse = (output: string): boolean[] => JSON.parse(output);
const inputOf = (limits: Limits) => ({ input: JSON.stringify({ ...limits, texts: TEXTS }) });

const ajv = (unicodeRegExp: boolean) =>
  engine(
    { name: unicodeRegExp ? 'ajv' : 'ajv-without-u', needs: [] },
    { allowed: [], refused: [] },
    async (_, limits) => {
      const { pattern, minLength, maxLength } = limits;
      const validate = new Ajv2020({ unicodeRegExp }).compile({ type: 'string', pattern, minLength, maxLength });
      return TEXTS.map((text) => validate(text));
    },
  );

export const ENGINES: readonly Judge[] = [
  ajv(true),
  ajv(false),
  engine(
    { name: 'regexp-go', needs: ['go'] },
    { allowed: BEYOND_ASCII, refused: [] },
    async ({ exec, folder }, limits) => {
      cpSync(join(SOURCES, 'main.go'), join(folder, 'main.go'));
      return parse(await exec('go', ['run', 'main.go'], inputOf(limits)));
    },
  ),
  engine({ name: 'regex-rust', needs: ['cargo'] }, UNICODE_WHITE_SPACE, async ({ exec, folder }, limits) => {
    mkdirSync(join(folder, 'src'));
    cpSync(join(SOURCES, 'main.rs'), join(folder, 'src/main.rs'));
    const packages = 'regex = "=1.13.1"\nserde = { version = "1", features = ["derive"] }\nserde_json = "1"\n';
    const manifest = `[package]\nname = "judge"\nversion = "0.0.0"\nedition = "2021"\n\n[dependencies]\n${packages}`;
    writeFileSync(join(folder, 'Cargo.toml'), manifest);
    return parse(await exec('cargo', ['run', '--quiet'], inputOf(limits)));
  }),
  engine({ name: 're-python', needs: ['python3'] }, PYTHON_IS_SPACE, async ({ exec }, limits) =>
    parse(await exec('python3', [join(SOURCES, 'python_re.py')], inputOf(limits))),
  ),
  engine({ name: 'pydantic', needs: ['python3'] }, UNICODE_WHITE_SPACE, async ({ exec, python }, limits) => {
    const interpreter = await python('pydantic==2.14.3');
    return parse(await exec(interpreter, [join(SOURCES, 'python_pydantic.py')], inputOf(limits)));
  }),
];
