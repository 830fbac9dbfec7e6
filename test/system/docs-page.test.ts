import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { OpenApi } from '../support/openapi-document.ts';
import { temporaryFolder } from '../support/process.ts';
import { skipUnless } from '../support/requirements.ts';
import { ANY_DATABASE, type Service, startService } from '../support/service.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
const skip = skipUnless(CHROMIUM !== undefined, 'CHROMIUM', 'Chromium is not installed');

const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/** A page, and everything it complained of or asked of others than the service. */
class WatchedPage {
  readonly page: Page;
  readonly complaints: string[] = [];
  readonly #requests: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on('console', (message) => void this.complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => void this.complaints.push(String(error)));
    page.on('requestfailed', (request) => void this.complaints.push(`failed: ${request.url()}`));
    page.on('request', (request) => void this.#requests.push(request.url()));
    page.on('response', (response) => {
      if (response.status() >= 400) this.complaints.push(`${response.status()}: ${response.url()}`);
    });
  }

  /** Where the page asked anything of anybody but `origin`; what is in the page itself does not count. */
  elsewhere(origin: string): string[] {
    return this.#requests.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith('data:'));
  }

  /** The operation's part of the page, opened. */
  async open(operationId: string, tag: string) {
    const operation = this.page.locator(`#operations-${tag}-${operationId}`);
    await operation.locator('.opblock-summary-control').click();
    await operation.locator('.opblock-body').waitFor();
    return operation;
  }

  /** What the service answers when the operation is tried as the page offers it. */
  async execute(operationId: string): Promise<string> {
    const operation = await this.open(operationId, 'Tasks');
    await operation.locator('button.try-out__btn').click();
    await operation.locator('button.execute').click();
    const answer = operation.locator('.live-responses-table .response').first();
    await answer.waitFor();
    return answer.innerText();
  }
}

describe('the reference in a browser', { skip }, () => {
  const profile = temporaryFolder();
  let service: Service;
  let origin: string;
  let browser: BrowserContext | null = null;
  before(async () => {
    service = await startService(ANY_DATABASE);
    origin = await service.app.listen({ host: '127.0.0.1', port: 0 });
    browser = await chromium.launchPersistentContext(profile.path, {
      executablePath: CHROMIUM ?? '',
      args: ARGUMENTS,
      viewport: { width: 1200, height: 1400 },
    });
  });
  after(async () => {
    await browser?.close();
    await service.close();
    profile.remove();
  });

  const newPage = async () => {
    if (browser === null) throw new Error('The browser has not been started');
    return new WatchedPage(await browser.newPage());
  };
  const picture = async (page: Page, name: string) => {
    const folder = process.env.TEST_SCREENSHOTS;
    if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
  };

  test('asks for the token once, and tries a request with it after a reload', async () => {
    const person = await service.person();
    await person.create('Seen in the browser');
    const watched = await newPage();
    const { page } = watched;
    await page.goto(`${origin}/docs`);
    await page.getByText('List your tasks').waitFor();
    await page.locator('button.authorize').first().click();
    await page.locator('.auth-container input').fill(person.token);
    await page.locator('.auth-btn-wrapper button.authorize').click();
    await page.locator('.auth-btn-wrapper button.btn-done').click();

    await page.reload();
    await page.getByText('List your tasks').waitFor();
    assert.match(await watched.execute('listTasks'), /^200[\s\S]*Seen in the browser/);
    await picture(page, 'listed');
    assert.match(await watched.execute('createTask'), /^201[\s\S]*Buy oat milk/);
    await picture(page, 'created');
    assert.deepEqual(
      (await person.list()).map(({ title }) => title),
      ['Buy oat milk', 'Seen in the browser'],
    );
    assert.deepEqual(watched.complaints, []);
    assert.deepEqual(watched.elsewhere(origin), []);
    await page.close();
  });

  test('shows every operation and schema, complains of nothing and loads nothing from elsewhere', async () => {
    const api = await OpenApi.read(service.app);
    const operations = api.operations().map(({ operation }) => operation);
    const watched = await newPage();
    const { page } = watched;
    await page.goto(`${origin}/docs/`);
    await page.getByText('List your tasks').waitFor();
    assert.equal(await page.title(), 'todo-api');
    await picture(page, 'closed');
    assert.deepEqual(
      (await page.locator('.opblock-summary-description').allInnerTexts()).sort(),
      operations.map(({ summary }) => summary).sort(),
    );
    for (const { operationId, security } of operations) {
      await watched.open(operationId, security === undefined ? 'Service' : 'Tasks');
    }
    for (const name of Object.keys(api.document.components.schemas)) {
      await page.locator('section.models').getByRole('button', { name, exact: true }).first().click();
    }
    await picture(page, 'schemas');
    assert.deepEqual(watched.complaints, []);
    assert.deepEqual(watched.elsewhere(origin), []);
    await page.close();
  });

  test('runs and shows nothing that its policy does not name', async () => {
    const watched = await newPage();
    const { page } = watched;
    const answer = await page.goto(`${origin}/docs`);
    const policy = new Map(
      (answer?.headers()['content-security-policy'] ?? '').split(/; */).map((directive) => {
        const [name = '', ...sources] = directive.split(' ');
        return [name, sources.join(' ')] as const;
      }),
    );
    assert.match(policy.get('style-src') ?? '', /^'self' 'sha256-[\w+/]{43}='$/);
    policy.delete('style-src');
    assert.deepEqual(Object.fromEntries(policy), {
      'default-src': "'none'",
      'script-src': "'self'",
      'img-src': "'self' data:",
      'connect-src': "'self'",
      'base-uri': "'none'",
      'form-action': "'none'",
      'frame-ancestors': "'none'",
    });
    await page.getByText('List your tasks').waitFor();
    assert.deepEqual(watched.complaints, []);
    const refused = page.waitForEvent('console', (message) => /Content Security Policy/.test(message.text()));
    const script = "document.body.append(Object.assign(document.createElement('script'), { text: 'window.ran = 1' }))";
    await page.evaluate(script);
    await refused;
    assert.equal(await page.evaluate('window.ran'), undefined);
    await page.close();
  });
});
