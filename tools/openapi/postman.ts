import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from './judge.ts';

interface Item {
  readonly name: string;
  readonly item?: readonly Item[];
  readonly request?: {
    readonly url: { readonly variable?: { key: string; value: string }[] };
    readonly body?: { raw: string };
  };
}

interface Collection {
  readonly item: readonly Item[];
  readonly variable?: readonly { readonly key: string; readonly value: string }[];
}

/** The requests of a converted collection in an order in which they all succeed, and the status of each. */
const ORDER = [
  ['Create a task', 201],
  ['List your tasks', 200],
  ['Get a task', 200],
  ['Change a task', 200],
  ['Toggle completion', 200],
  ['Delete a task', 200],
  ['Get a task', 404],
  ['Liveness', 200],
] as const;

/**
 * The bodies are the document's examples, not made up from its schemas. Optional parameters are there, but not selected:
 * with the example of `Idempotency-Key` in each of them, the second write is 422.
 */
const RESOLUTION = 'requestParametersResolution=Example,parametersResolution=Example,enableOptionalParameters=false';

const EMOJI_TITLE = '🥛 Buy oat milk';

function requestsOf(items: readonly Item[]): Item[] {
  return items.flatMap((item) => (item.item === undefined ? [item] : requestsOf(item.item)));
}

/** `item` with a script that checks the answer's status and remembers the id of a new task. */
function scripted(item: Item, status: number): object {
  const copy = structuredClone(item);
  for (const variable of copy.request?.url.variable ?? []) variable.value = '{{created}}';
  if (status === 201 && copy.request?.body !== undefined) {
    const body: object = JSON.parse(copy.request.body.raw);
    copy.request.body.raw = JSON.stringify({ ...body, title: EMOJI_TITLE });
  }
  const exec = [
    `pm.test('${item.name} is answered ${status}', () => pm.response.to.have.status(${status}));`,
    ...(status === 201 ? ["pm.collectionVariables.set('created', pm.response.json().id);"] : []),
    ...(status === 201
      ? [`pm.test('title', () => pm.expect(pm.response.json().title).to.eql('${EMOJI_TITLE}'));`]
      : []),
    ...(status === 404 ? ["pm.test('code', () => pm.expect(pm.response.json().code).to.eql('NOT_FOUND'));"] : []),
  ];
  return { ...copy, event: [{ listen: 'test', script: { type: 'text/javascript', exec } }] };
}

/** Converts the document into a Postman collection, and runs its requests with newman. */
export async function runPostman({ exec, folder, document, origin, token }: Bench): Promise<string> {
  await exec('npx', ['openapi2postmanv2', '-s', document, '-o', 'collection.json', '-O', RESOLUTION]);
  const collection: Collection = JSON.parse(readFileSync(join(folder, 'collection.json'), 'utf8'));
  const requests = requestsOf(collection.item);
  const chosen = ORDER.flatMap(([name, status]) => {
    const found = requests.filter((item) => item.name === name);
    if (found.length === 0) throw new Error(`The collection has no request ${name}`);
    return found.map((item) => scripted(item, status));
  });
  const variable = [
    { key: 'baseUrl', value: origin },
    { key: 'bearerToken', value: token },
  ];
  writeFileSync(join(folder, 'ordered.json'), JSON.stringify({ ...collection, item: chosen, variable }));
  await exec('npx', ['newman', 'run', 'ordered.json', '--bail']);
  return `newman, ${chosen.length} requests, round trip`;
}
