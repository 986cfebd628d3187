// The web page in a real Chromium: what people see and do, and what bad keys, payloads and comments must not.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  CommitKeeper,
  KvDatabase,
  PostgresCommitStorage,
  type ServeOptions,
  serveCommits,
} from '../../src/kv/index.ts';
import { freshDatabase } from '../support/database.ts';
import { findTool } from '../support/tools.ts';
import { createSelfSigned } from './support/self-signed.ts';

const executablePath = findTool('chromium');
const TOKEN = 'ann-s3cret-token-0001';
const WATCHER = 'eve-s3cret-token-0002';

let browsers: Browser[] = [];
beforeAll(async () => {
  if (executablePath === undefined) return;
  const options = { executablePath, args: ['--no-sandbox'] };
  browsers = await Promise.all([chromium.launch(options), chromium.launch(options)]);
}, 60_000);
afterAll(async () => {
  await Promise.all(browsers.map((browser) => browser.close()));
});

async function serving(options: Partial<ServeOptions<Buffer>> = {}) {
  const { connection } = await freshDatabase();
  const database = new KvDatabase({ connection });
  const storage = new PostgresCommitStorage({ connection: database, table: 'diary' });
  await storage.start();
  const mirror = await new CommitKeeper({ connection: database, table: 'diary' }).mirror();
  const server = await serveCommits({ storage, mirror, port: 0, basePath: '/diary', ...options });
  onTestFinished(async () => {
    await server.close();
    await mirror.close();
    await storage.stop();
    await database.close();
  });
  const save = (key: string, version: number, payload: string | Buffer | null, author = 'ann', comment = '') =>
    storage.save({ key, version, payload: payload === null ? null : Buffer.from(payload), author, comment });
  return { server, storage, save, connection, url: `${server.url}/-/page` };
}

/** A page in browser 0 or 1, with everything that the browser complained of. */
async function open(url: string, which: 0 | 1 = 0): Promise<{ page: Page; complaints: string[] }> {
  const context = await browsers[which]!.newContext({ ignoreHTTPSErrors: true });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  return { page, complaints };
}

const live = (page: Page) => page.locator('#live.live').waitFor();
const shows = (page: Page, text: string) => page.locator('#key').getByText(text).first().waitFor();

describe.skipIf(executablePath === undefined)('the web page', () => {
  test('keys, a version, its history and what changed in it', async () => {
    const { url, save } = await serving();
    await save('limits', 1, '{"max":5}\n', 'ann', 'a first value');
    await save('limits', 2, '{"max":9}\n', 'bob', 'more room');
    await save('other', 1, 'x');
    await save('gone', 1, 'x');
    await save('gone', 2, null);
    const { page, complaints } = await open(url);
    await live(page);
    expect(await page.locator('#keys a').allTextContents()).toEqual(['limits', 'other']);
    await page.fill('#filter', 'lim');
    await page.click('#keys a');
    await shows(page, '{"max":9}');
    expect(await page.locator('.facts').textContent()).toContain('Version 2 by bob');
    expect(await page.locator('.history li b').allTextContents()).toEqual(['Version 2', 'Version 1']);
    await page.locator('.history li').first().getByText('What changed').click();
    expect(await page.locator('.diff .removed').textContent()).toBe('-{"max":5}\n');
    expect(await page.locator('.diff .added').textContent()).toBe('+{"max":9}\n');
    const background = await page.evaluate(`getComputedStyle(document.querySelector('.diff .added')).backgroundColor`);
    expect(background).not.toBe('rgba(0, 0, 0, 0)');
    expect(complaints).toEqual([]);
  });

  test('two people edit one key: the second is warned, sees the other change, and saves on top of it', async () => {
    const { url, save, storage } = await serving();
    await save('limits', 1, 'max: 5\n');
    const [{ page: ann }, { page: bob }] = [await open(`${url}#limits`, 0), await open(`${url}#limits`, 1)];
    for (const page of [ann, bob]) {
      await live(page);
      await page.getByText('Edit', { exact: true }).click();
    }
    await bob.fill('#text', 'max: 5\nmin: 1\n');
    await ann.fill('#text', 'max: 9\n');
    await ann.fill('#comment', 'höher – ✓');
    await ann.fill('#author', 'Änn');
    await ann.getByText('Review…').click();
    expect(await ann.locator('.review .added').textContent()).toBe('+max: 9\n');
    await ann.getByText('Save version 2').click();
    await shows(ann, 'max: 9');
    expect(await storage.get('limits')).toMatchObject({ version: 2, author: 'Änn', comment: 'höher – ✓' });

    const warning = bob.locator('.warning');
    await warning.getByText('Änn saved version 2 while you were editing version 1').waitFor();
    expect(await warning.locator('.added').textContent()).toBe('+max: 9\n');
    expect(await bob.locator('#text').inputValue()).toBe('max: 5\nmin: 1\n');
    await bob.getByText('Review…').click();
    await bob.locator('.failure').getByText('Version 2 was saved meanwhile').waitFor();
    expect((await storage.get('limits'))?.version).toBe(2);
    await bob.getByText('Keep my text, on top of theirs').click();
    await bob.fill('#text', 'max: 9\nmin: 1\n');
    await bob.getByText('Review…').click();
    await bob.getByText('Save version 3').click();
    await shows(ann, 'min: 1');
    expect((await storage.get('limits'))?.payload?.toString()).toBe('max: 9\nmin: 1\n');
  });

  test('what another process saves is there without a reload, in the list and in the open key', async () => {
    const { url, save, connection } = await serving();
    await save('limits', 1, 'one');
    const { page, complaints } = await open(`${url}#limits`);
    await live(page);
    await shows(page, 'one');
    const { user, password, host, port, database } = connection;
    const at = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
    const child = spawn(process.execPath, ['--import', 'tsx', 'test/kv/support/save-process.ts', at], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    expect(await once(child, 'exit')).toEqual([0, null]);
    await shows(page, 'from another process');
    await page.locator('#keys').getByText('new-key-of-another-process').waitFor();
    expect(complaints).toEqual([]);
  });

  test('a new key, a removal, a rollback; line ends stay what they were', async () => {
    const { url, storage, save } = await serving();
    await save('windows', 1, 'a\r\nb\r\n');
    const { page } = await open(url);
    await live(page);
    page.on('dialog', (dialog) => dialog.accept());
    await page.fill('#new-key', 'a/b ?#%');
    await page.getByText('New', { exact: true }).click();
    await page.getByText('Write', { exact: true }).click();
    await page.fill('#text', 'first');
    await page.getByText('Review…').click();
    await page.getByText('Save version 1').click();
    await page.locator('.history li').waitFor();
    expect((await storage.get('a/b ?#%'))?.payload?.toString()).toBe('first');
    await page.getByText('Remove', { exact: true }).click();
    await shows(page, '(removed)');
    await page.getByText('Roll back to version 1').click();
    await page.locator('.facts').getByText('Version 3').waitFor();
    expect((await storage.get('a/b ?#%'))?.payload?.toString()).toBe('first');

    await page.locator('#keys').getByText('windows').click();
    await page.locator('h2').getByText('windows').waitFor();
    await page.getByText('Edit', { exact: true }).click();
    await page.fill('#text', 'a\nb\nc\n');
    await page.getByText('Review…').click();
    await page.getByText('Save version 2').click();
    await page.locator('.facts').getByText('Version 2').waitFor();
    expect((await storage.get('windows'))?.payload?.toString()).toBe('a\r\nb\r\nc\r\n');
  });

  test('markup in keys, payloads, authors and comments is text', async () => {
    const { url, save, storage } = await serving();
    const bad = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'"><svg/onload=window.hacked=1>';
    await save(bad, 1, `${bad}\n`, bad, bad);
    await save(bad, 2, `</pre></textarea><script>window.hacked=1</script>${bad}\n`, bad, bad);
    await save('__proto__', 1, 'x', 'constructor', '{{7*7}}');
    await save('javascript:window.hacked=1', 1, 'javascript:window.hacked=1');
    await save('bytes', 1, Buffer.from([0xff, 0xfe, 0x3c, 0x62, 0x3e]));
    const { page, complaints } = await open(url);
    await live(page);
    for (const key of [bad, '__proto__', 'javascript:window.hacked=1', 'bytes']) {
      await page.locator('#keys a').filter({ hasText: key }).first().click();
      await page.locator('h2').filter({ hasText: key }).waitFor();
      await page.locator('.history li').first().waitFor();
      for (const toggle of await page.getByText('What changed').all()) await toggle.click();
      await page.locator('.history li:last-child :is(.diff, .note)').first().waitFor();
      expect(await page.locator('main :is(img, script, svg, iframe, style)').count()).toBe(0);
    }
    // While it is edited, and warned of.
    await page.goto(`${url}#${encodeURIComponent(bad)}`);
    await live(page);
    await page.getByText('Edit', { exact: true }).click();
    await page.fill('#text', `${bad}!`);
    await save(bad, 3, `${bad}?`, bad, bad);
    await page.locator('.warning .diff').waitFor();
    await page.getByText('Keep my text').click();
    await page.fill('#comment', bad);
    await page.getByText('Review…').click();
    await page.getByText('Save version 4').click();
    await page.locator('.history li').nth(3).waitFor();
    expect((await storage.get(bad))?.comment).toBe(bad);
    expect(await page.evaluate('window.hacked')).toBeUndefined();
    expect(await page.locator('main :is(img, script, svg, iframe, style)').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test('the browser itself refuses scripts and markup made from text', async () => {
    const { url } = await serving();
    const { page } = await open(url);
    await live(page);
    const refused = await page.evaluate(`(() => {
      const tried = (work) => { try { work(); return 'done'; } catch (error) { return error.name; } };
      return [
        tried(() => { document.body.innerHTML = '<b>x</b>'; }),
        tried(() => document.createElement('script').src = 'x'),
      ];
    })()`);
    expect(refused).toEqual(['TypeError', 'TypeError']);
    const other = await (await browsers[0]!.newContext()).newPage();
    onTestFinished(() => other.context().close());
    await other.setContent(`<iframe src="${url}"></iframe>`);
    await expect.poll(() => other.frames()[1]?.url()).toBe('chrome-error://chromewebdata/');
  });

  test('tokens over TLS: asked for, refused when wrong, the author is theirs, rights are respected', async () => {
    const tls = createSelfSigned();
    if (tls === undefined) return;
    const tokens = [
      { token: TOKEN, author: 'ann', read: [''], write: ['app.'] },
      { token: WATCHER, author: 'eve', read: ['public.'] },
    ];
    const { url, save, storage } = await serving({ tokens, tls });
    await save('app.limits', 1, 'five');
    await save('public.x', 1, 'seen');
    expect(url).toMatch(/^https:/);
    const { page } = await open(url);
    await page.fill('#token', 'a-wrong-token-of-16-letters');
    await page.getByText('Open', { exact: true }).click();
    await page.getByText('The server does not know this token').waitFor();
    await page.fill('#token', TOKEN);
    await page.getByText('Open', { exact: true }).click();
    await live(page);
    expect(await page.locator('#who').textContent()).toBe('ann');
    await page.locator('#keys').getByText('app.limits').click();
    await page.getByText('Edit', { exact: true }).click();
    expect(await page.locator('#author').count()).toBe(0);
    await page.fill('#text', 'nine');
    await page.getByText('Review…').click();
    await page.getByText('Save version 2').click();
    await page.locator('.facts').getByText('Version 2').waitFor();
    expect(await storage.get('app.limits')).toMatchObject({ author: 'ann', version: 2 });
    await page.locator('#keys').getByText('public.x').click();
    await shows(page, 'seen');
    expect(await page.getByText('Edit', { exact: true }).count()).toBe(0);

    const { page: eve } = await open(url, 1);
    await eve.fill('#token', WATCHER);
    await eve.getByText('Open', { exact: true }).click();
    await live(eve);
    expect(await eve.locator('#keys a').allTextContents()).toEqual(['public.x']);
    expect(await eve.locator('#new-key').isVisible()).toBe(false);
  });

  test('a server that went away and came back: what was missed is there', async () => {
    const first = await serving();
    await first.save('limits', 1, 'one');
    const { page } = await open(`${first.url}#limits`);
    await live(page);
    await first.server.close();
    await page.locator('#live.away').waitFor();
    await first.save('limits', 2, 'two');
    const again = await serveCommits({ storage: first.storage, port: first.server.port, basePath: '/diary' });
    onTestFinished(() => again.close());
    await live(page);
    await shows(page, 'two');
  });
});
