import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { launchChromium, skipWithoutChromium } from '../support/chromium.ts';
import { OpenApi } from '../support/openapi-document.ts';
import { ANY_DATABASE, type Service, startService } from '../support/service.ts';

/** A page that records its console messages, errors, failed requests and URLs. */
class RecordedPage {
  readonly page: Page;
  readonly problems: string[] = [];
  readonly #requests: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on('console', (message) => void this.problems.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => void this.problems.push(String(error)));
    page.on('requestfailed', (request) => void this.problems.push(`failed: ${request.url()}`));
    page.on('request', (request) => void this.#requests.push(request.url()));
    page.on('response', (response) => {
      if (response.status() >= 400) this.problems.push(`${response.status()}: ${response.url()}`);
    });
  }

  /** The URLs requested outside `origin`, `data:` excepted. */
  foreignUrls(origin: string): string[] {
    return this.#requests.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith('data:'));
  }

  /** Expands an operation. */
  async open(operationId: string, tag: string) {
    const operation = this.page.locator(`#operations-${tag}-${operationId}`);
    await operation.locator('.opblock-summary-control').click();
    await operation.locator('.opblock-body').waitFor();
    return operation;
  }

  /** Runs "Try it out" of an operation. @returns the text of the response. */
  async execute(operationId: string): Promise<string> {
    const operation = await this.open(operationId, 'Tasks');
    await operation.locator('button.try-out__btn').click();
    await operation.locator('button.execute').click();
    const answer = operation.locator('.live-responses-table .response').first();
    await answer.waitFor();
    return answer.innerText();
  }
}

describe('/docs in a browser', { skip: skipWithoutChromium }, () => {
  let service: Service;
  let origin: string;
  let chromium: Awaited<ReturnType<typeof launchChromium>> | null = null;
  before(async () => {
    service = await startService(ANY_DATABASE);
    origin = await service.app.listen({ host: '127.0.0.1', port: 0 });
    chromium = await launchChromium({ viewport: { width: 1200, height: 1400 } });
  });
  after(async () => {
    await chromium?.close();
    await service.close();
  });

  const newPage = async () => {
    if (chromium === null) throw new Error('The browser has not been started');
    return new RecordedPage(await chromium.browser.newPage());
  };
  const picture = async (page: Page, name: string) => {
    const folder = process.env.TEST_SCREENSHOTS;
    if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
  };

  test('keeps the token across a reload and sends requests with it', async () => {
    const person = await service.person();
    await person.create('Seen in the browser');
    const recorded = await newPage();
    const { page } = recorded;
    await page.goto(`${origin}/docs`);
    await page.getByText('List your tasks').waitFor();
    await page.locator('button.authorize').first().click();
    await page.locator('.auth-container input').fill(person.token);
    await page.locator('.auth-btn-wrapper button.authorize').click();
    await page.locator('.auth-btn-wrapper button.btn-done').click();

    await page.reload();
    await page.getByText('List your tasks').waitFor();
    assert.match(await recorded.execute('listTasks'), /^200[\s\S]*Seen in the browser/);
    await picture(page, 'listed');
    assert.match(await recorded.execute('createTask'), /^201[\s\S]*Buy oat milk/);
    await picture(page, 'created');
    assert.deepEqual(
      (await person.list()).map(({ title }) => title),
      ['Buy oat milk', 'Seen in the browser'],
    );
    assert.deepEqual(recorded.problems, []);
    assert.deepEqual(recorded.foreignUrls(origin), []);
    await page.close();
  });

  test('shows every operation and schema without errors, and loads nothing from other origins', async () => {
    const api = await OpenApi.read(service.app);
    const operations = api.operations().map(({ operation }) => operation);
    const recorded = await newPage();
    const { page } = recorded;
    await page.goto(`${origin}/docs/`);
    await page.getByText('List your tasks').waitFor();
    assert.equal(await page.title(), 'todo-api');
    await picture(page, 'closed');
    assert.deepEqual(
      (await page.locator('.opblock-summary-description').allInnerTexts()).sort(),
      operations.map(({ summary }) => summary).sort(),
    );
    for (const { operationId, tags } of operations) await recorded.open(operationId, tags[0] ?? '');
    for (const name of Object.keys(api.document.components.schemas)) {
      await page.locator('section.models').getByRole('button', { name, exact: true }).first().click();
    }
    await picture(page, 'schemas');
    assert.deepEqual(recorded.problems, []);
    assert.deepEqual(recorded.foreignUrls(origin), []);
    await page.close();
  });

  test('has a Content-Security-Policy that blocks inline scripts', async () => {
    const recorded = await newPage();
    const { page } = recorded;
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
    assert.deepEqual(recorded.problems, []);
    const refused = page.waitForEvent('console', (message) => /Content Security Policy/.test(message.text()));
    const script = "document.body.append(Object.assign(document.createElement('script'), { text: 'window.ran = 1' }))";
    await page.evaluate(script);
    await refused;
    assert.equal(await page.evaluate('window.ran'), undefined);
    await page.close();
  });
});
