import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findTool } from '../support/tools.ts';

const executablePath = findTool('chromium');

describe('the door pg-hypervault/key', () => {
  it.skipIf(executablePath === undefined)('runs in a browser as it is published', { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hypervault-key-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', folder];
    await promisify(execFile)(process.execPath, tsc);

    const asked: string[] = [];
    const server = createServer((request, response) => {
      const path = new URL(request.url ?? '/', 'http://x').pathname;
      if (path === '/')
        return void response.setHeader('content-type', 'text/html').end('<!doctype html><title>key</title>');
      asked.push(path);
      readFile(join(folder, path)).then(
        (text) => response.setHeader('content-type', 'text/javascript').end(text),
        () => response.writeHead(404).end(),
      );
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());

    const browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] });
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      const seen = await page.evaluate(`import('/core/key.js').then(({ Key, idRange, InvalidKeyError }) => {
        const key = new Key('307821103844175873');
        let refused = '';
        try { new Key(12); } catch (error) { refused = error instanceof InvalidKeyError ? error.message : String(error); }
        const { lowest } = idRange(new Date('2024-01-01'), new Date('2024-02-01'));
        return [key.shardId, key.addedId, key.created.toISOString(), JSON.stringify(key), String(lowest), refused];
      })`);
      expect(seen).toEqual([
        12,
        1,
        '2014-11-15T14:11:06.450Z',
        '"307821103844175873"',
        '2723795015233961984',
        expect.stringContaining('use a bigint'),
      ]);
    } finally {
      await browser.close();
    }
    // Nothing but its own few files: neither pg nor anything of Node.
    expect(asked.filter((path) => path !== '/favicon.ico').sort()).toEqual([
      '/core/errors.js',
      '/core/id-layout.js',
      '/core/key.js',
      '/errors.js',
    ]);
  });
});
