import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import { temporaryFolder } from './support/process.ts';
import { startService } from './support/service.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
const missing = 'no Chromium is installed here';
if (CHROMIUM === undefined && process.env.TEST_REQUIRE_CHROMIUM) throw new Error(missing);

const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

describe('the reference in a browser', { skip: CHROMIUM === undefined ? missing : false }, () => {
  test('loads nothing from elsewhere, complains of nothing, and keeps the token that is typed in once', async () => {
    const service = await startService('embedded');
    const profile = temporaryFolder();
    const origin = await service.app.listen({ host: '127.0.0.1', port: 0 });
    const person = await service.person();
    await person.create('Seen in the browser');
    const browser = await chromium.launchPersistentContext(profile.path, {
      executablePath: CHROMIUM ?? '',
      args: ARGUMENTS,
      viewport: { width: 1200, height: 1400 },
    });
    const page = browser.pages()[0] ?? (await browser.newPage());
    const complaints: string[] = [];
    const elsewhere: string[] = [];
    page.on('console', (message) => void complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => void complaints.push(String(error)));
    page.on('requestfailed', (request) => void complaints.push(`failed: ${request.url()}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith('data:')) elsewhere.push(request.url());
    });

    await page.goto(`${origin}/docs`);
    await page.getByText('List your tasks').waitFor();
    await page.locator('button.authorize').first().click();
    await page.locator('.auth-container input').fill(person.token);
    await page.locator('.auth-btn-wrapper button.authorize').click();
    await page.locator('.auth-btn-wrapper button.btn-done').click();

    await page.reload();
    await page.getByText('List your tasks').click();
    await page.locator('#operations-Tasks-listTasks button.try-out__btn').click();
    await page.locator('#operations-Tasks-listTasks button.execute').click();
    const answer = page.locator('#operations-Tasks-listTasks .live-responses-table .response').first();
    await answer.waitFor();
    assert.match(await answer.innerText(), /200[\s\S]*Seen in the browser/);
    if (process.env.TEST_SCREENSHOT) await page.screenshot({ path: process.env.TEST_SCREENSHOT });

    assert.deepEqual(complaints, []);
    assert.deepEqual(elsewhere, []);
    const policy = (await page.goto(`${origin}/docs`))?.headers()['content-security-policy'] ?? '';
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe-(inline|eval)|https?:|\*/);
    await browser.close();
    await service.close();
    profile.remove();
  });
});
