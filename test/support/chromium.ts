import { existsSync } from 'node:fs';
import { type BrowserContext, chromium } from 'playwright-core';
import { temporaryFolder } from './process.ts';
import { skipUnless } from './requirements.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);

/** The `skip` option of tests that need Chromium. */
export const skipWithoutChromium = skipUnless(CHROMIUM !== undefined, 'CHROMIUM', 'Chromium is not installed');

const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/** Chromium with a profile of its own, which `close` removes. */
export async function launchChromium(
  options: object = {},
): Promise<{ browser: BrowserContext; close(): Promise<void> }> {
  const profile = temporaryFolder();
  const browser = await chromium.launchPersistentContext(profile.path, {
    executablePath: CHROMIUM ?? '',
    args: ARGUMENTS,
    ...options,
  });
  const close = async () => {
    await browser.close();
    profile.remove();
  };
  return { browser, close };
}
