import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { BrowserContext, Page } from 'playwright-core';
import { createClient, type Task } from '../../client/dist/index.js';
import { bundle } from '../support/bundle.ts';
import { launchChromium, skipWithoutChromium } from '../support/chromium.ts';
import { ANY_DATABASE, type Service, signToken, startService } from '../support/service.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const OPEN = `
  window.failed = [];
  window.start = async (url, user) => {
    const client = todo.createClient({ url, user, token: () => window.token(user), retryMs: 50 });
    const onConflict = (conflict) => (window.failed.push(conflict.status), 'theirs');
    window.local = await todo.mirror({ client, storage: todo.indexedDbStorage(), onConflict });
  };
  window.until = (holds) => new Promise((resolve, reject) => {
    if (holds()) return resolve();
    const timer = setTimeout(() => {
      const { status, error } = local;
      reject(new Error('Not so after 30 s: ' + JSON.stringify([status, String(error), local.pending(), local.tasks()])));
    }, 30000);
    const end = local.subscribe(() => { if (holds()) { clearTimeout(timer); end(); resolve(); } });
  });
`;

/** A web page with a mirror. */
class Window {
  readonly page: Page;
  /** Statuses of the service's answers. */
  readonly statuses: number[] = [];
  streams = 0;

  constructor(page: Page) {
    this.page = page;
    page.on('response', (response) => void this.statuses.push(response.status()));
    page.on('request', (request) => {
      if (request.url().includes('/api/events')) this.streams += 1;
    });
  }

  /** Evaluates an expression in which `local` is the mirror. */
  run<T>(expression: string): Promise<T> {
    return this.page.evaluate<T>(expression);
  }

  until(condition: string): Promise<void> {
    return this.run(`until(() => ${condition})`);
  }

  titles(): Promise<string[]> {
    return this.run('local.tasks().map(({ title }) => title)');
  }

  settled(): Promise<void> {
    return this.until("local.status === 'live' && local.pending().length === 0");
  }
}

describe('a mirror in Chromium', { skip: skipWithoutChromium }, () => {
  let service: Service;
  let url = '';
  let chromium: Awaited<ReturnType<typeof launchChromium>>;
  let script = '';
  const pages = createServer((request, response) => {
    const isScript = request.url === '/script.js';
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : '<!doctype html><script src="/script.js"></script>');
  });
  let pageUrl = '';
  /** Another origin, with a storage of its own. */
  let smallUrl = '';
  const tokens = new Map<string, { given: number; claims: Record<string, unknown> }>();
  const tokensOf = (user: string) => {
    const known = tokens.get(user) ?? { given: 0, claims: {} };
    tokens.set(user, known);
    return known;
  };

  before(async () => {
    await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
    const address = pages.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    pageUrl = `http://127.0.0.1:${address.port}`;
    smallUrl = `http://localhost:${address.port}`;
    service = await startService(ANY_DATABASE, { config: { frontendOrigins: [pageUrl, smallUrl] } });
    url = await service.app.listen({ host: '127.0.0.1', port: 0 });
    script = (await bundle("export * from 'todo-api/client'", { format: 'iife', globalName: 'todo' })) + OPEN;
    chromium = await launchChromium();
    await chromium.browser.exposeFunction('token', (user: string) => {
      const known = tokensOf(user);
      known.given += 1;
      return signToken(user, known.claims);
    });
  });
  after(async () => {
    await chromium?.close();
    await service?.close();
    pages.close();
  });

  const newUser = () => `user_${randomBytes(8).toString('hex')}`;
  const elsewhere = (user: string) => createClient({ url, token: () => signToken(user) });
  const titlesOf = async (user: string) => (await elsewhere(user).list()).map(({ title }) => title);

  async function open(
    t: TestContext,
    user: string,
    prepare = async (_: Page) => {},
    origin = pageUrl,
  ): Promise<Window> {
    const { browser }: { browser: BrowserContext } = chromium;
    await browser.setOffline(false);
    const page = await browser.newPage();
    t.after(() => page.close());
    await prepare(page);
    const window = new Window(page);
    await page.goto(origin);
    await page.evaluate(`start('${url}', '${user}')`);
    return window;
  }

  test('two windows show the same over one stream, and the second takes over when the first is closed', async (t) => {
    const user = newUser();
    const [first, second] = [await open(t, user), await open(t, user)];
    await first.settled();
    await second.settled();
    await second.run("local.create({ title: 'From the second' })");
    await first.until('local.tasks().length === 1');
    await elsewhere(user).create({ title: 'From elsewhere' });
    await second.until('local.tasks().length === 2');
    await second.settled();
    assert.deepEqual([first.streams > 0, second.streams], [true, 0]);
    assert.deepEqual(await second.titles(), await first.titles());
    await first.page.close();
    await elsewhere(user).create({ title: 'After the first' });
    await second.until('local.tasks().length === 3');
    await second.run("local.create({ title: 'Sent by the second' })");
    await second.settled();
    assert.deepEqual(await titlesOf(user), await second.titles());
    assert.deepEqual(await second.run('failed'), []);
  });

  test('what is written without a network is there after a reload, and sent once when it returns', async (t) => {
    const user = newUser();
    const window = await open(t, user);
    await window.run("local.create({ title: 'Online' })");
    await window.settled();
    const { page } = window;
    const answers = `${url}/**`;
    await page.route(answers, (route) => route.abort('internetdisconnected'));
    await page.context().setOffline(true);
    await window.run("local.create({ title: 'Offline' })");
    await window.run("local.toggle(local.tasks().find(({ title }) => title === 'Online').id)");
    await window.until("local.status === 'offline'");
    await page.context().setOffline(false);
    await page.reload(); // the page is there, the service is not
    await page.evaluate(`start('${url}', '${user}')`);
    assert.deepEqual(await window.titles(), ['Offline', 'Online']);
    assert.equal(await window.run('local.pending().length'), 2);
    await page.unroute(answers);
    await page.evaluate("dispatchEvent(new Event('online'))");
    await window.settled();
    const list: readonly Task[] = await elsewhere(user).list();
    assert.deepEqual(
      list.map(({ title, is_completed }) => [title, is_completed]),
      [
        ['Offline', false],
        ['Online', true],
      ],
    );
    assert.deepEqual(await window.run('local.tasks()'), list);
  });

  test('a token that expires in between loses no write', async (t) => {
    const user = newUser();
    const window = await open(t, user);
    await window.settled();
    const { page } = window;
    await page.route(`${url}/**`, (route) => route.abort('internetdisconnected'));
    await page.context().setOffline(true);
    await window.run("local.create({ title: 'Kept' })");
    await window.until("local.status === 'offline'");
    tokensOf(user).claims = { iat: undefined, exp: Math.floor(Date.now() / 1000) - 3600 };
    await page.context().setOffline(false);
    await page.reload();
    await page.evaluate(`start('${url}', '${user}')`);
    await page.unroute(`${url}/**`);
    await window.run('local.sync()');
    await window.until("local.status === 'error' && local.error.status === 401");
    assert.equal(await window.run('local.pending().length'), 1);
    tokensOf(user).claims = {};
    await window.run('local.sync()');
    await window.settled();
    assert.deepEqual(await titlesOf(user), ['Kept']);
  });

  test('a full storage refuses the write, keeps what is there, and works again when there is room', async (t) => {
    const user = newUser();
    const quota = async (page: Page, rest: object) => {
      const session = await page.context().newCDPSession(page);
      await session.send('Storage.overrideQuotaForOrigin', { origin: smallUrl, ...rest });
    };
    const window = await open(t, user, (page) => quota(page, { quotaSize: 300_000 }), smallUrl);
    await window.run("local.create({ title: 'Before' })");
    await window.settled();
    const fill = `(async () => {
      for (let stored = 0; stored < 2000; stored += 1) {
        const description = String(stored).padEnd(2000, 'x');
        const code = await local.create({ title: 'Filler', description }).then(() => null, (error) => error.code);
        if (code !== null) return { stored, code, shown: local.tasks().length };
      }
      return { code: 'never full' };
    })()`;
    const { stored, code, shown } = await window.run<{ stored: number; code: string; shown: number }>(fill);
    assert.deepEqual({ code, shown }, { code: 'STORAGE_FULL', shown: stored + 1 });
    await quota(window.page, {});
    await window.run("local.create({ title: 'Afterwards' })");
    await window.settled();
    assert.equal((await titlesOf(user)).length, stored + 2);
    assert.deepEqual(await titlesOf(user), await window.titles());
  });

  for (const [direction, ms] of [
    ['ahead', DAY_MS],
    ['behind', -DAY_MS],
  ] as const) {
    test(`a clock that is a day ${direction} costs no token and no rejected request`, async (t) => {
      const user = newUser();
      const window = await open(t, user, async (page) => {
        await page.addInitScript(`const now = Date.now; Date.now = () => now() + ${ms}`);
      });
      await window.run("local.create({ title: 'Now' })");
      const created: string = await window.run('local.tasks()[0].created_at');
      await window.settled();
      for (const title of ['1', '2', '3']) await window.run(`local.create({ title: '${title}' })`);
      await window.settled();
      assert.equal(tokensOf(user).given, 1);
      assert.ok(!window.statuses.includes(401));
      assert.equal((await titlesOf(user)).length, 4);
      assert.deepEqual(await window.titles(), await titlesOf(user));
      assert.ok(Math.abs(Date.parse(created) - Date.now()) < DAY_MS * 2);
    });
  }

  test('another user of the browser finds nothing, and clear() removes all in every window', async (t) => {
    const [ann, bob] = [newUser(), newUser()];
    const [first, second] = [await open(t, ann), await open(t, ann)];
    await first.run("local.create({ title: 'Private' })");
    await second.until('local.tasks().length === 1');
    const his = await open(t, bob);
    await his.settled();
    assert.deepEqual(await his.titles(), []);
    await first.settled();
    await first.run('local.clear()');
    await second.until("local.status === 'closed' && local.tasks().length === 0");
    const databases: string[] = await his.run('indexedDB.databases().then((all) => all.map(({ name }) => name))');
    assert.deepEqual(
      databases.filter((name) => name.includes(ann)),
      [],
    );
  });
});
