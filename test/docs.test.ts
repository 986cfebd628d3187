// The pages for readers: every ```ts block compiles against src, and every command they name is one.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { PROJECT } from './support/built.ts';
import { hypervault } from './support/cli.ts';

const PAGES = ['README.md', ...readdirSync(join(PROJECT, 'docs')).filter((name) => name.endsWith('.md'))].map((name) =>
  name === 'README.md' ? name : `docs/${name}`,
);

/** The blocks of a page in a language, each with the line it begins in. */
function blocks(page: string, language: string): { line: number; text: string }[] {
  const text = readFileSync(join(PROJECT, page), 'utf8');
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map((found) => ({
    line: text.slice(0, found.index).split('\n').length + 1,
    text: found[1]!,
  }));
}

/** Runs the compiler; what it says, a line each. */
function compile(folder: string): Promise<string[]> {
  return new Promise((resolve) => {
    const tsc = join(PROJECT, 'node_modules/.bin/tsc');
    execFile(tsc, ['--noEmit', '--pretty', 'false', '-p', folder], { maxBuffer: 1 << 26 }, (_, stdout) =>
      resolve(stdout.split('\n').filter((line) => line !== '')),
    );
  });
}

test('every block of TypeScript in README.md and docs/ compiles', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'docs-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'blocks'));
  await symlink(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  let written = 0;
  for (const page of PAGES) {
    for (const { line, text } of blocks(page, 'ts')) {
      // The lines of the page, so that a message names the place.
      const padded = `${'\n'.repeat(line - 1)}${text}\nexport {};\n`;
      await writeFile(join(folder, 'blocks', `${basename(page, '.md')}-${line}.mts`), padded);
      written += 1;
    }
  }
  expect(written).toBeGreaterThan(25);
  const source = (path: string): string => join(PROJECT, 'src', path);
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: join(PROJECT, 'tsconfig.json'),
      compilerOptions: {
        // As strict as most readers are.
        noUncheckedIndexedAccess: false,
        exactOptionalPropertyTypes: false,
        typeRoots: [join(PROJECT, 'node_modules/@types')],
        paths: {
          'pg-hypervault': [source('index.ts')],
          'pg-hypervault/key': [source('core/key.ts')],
          'pg-hypervault/*': [source('*/index.ts')],
        },
      },
      include: ['blocks'],
      files: [join(PROJECT, 'test/support/docs-surroundings.ts'), source('core/pg-hstore.d.ts')],
    }),
  );
  expect(await compile(folder)).toEqual([]);
});

/** The commands of a page's shell blocks: their words, without what the shell makes of the rest of a line. */
function commands(page: string): string[][] {
  return blocks(page, 'sh').flatMap(({ text }) =>
    [...text.replaceAll('\\\n', ' ').matchAll(/^(?:npx )?hypervault (.*)$/gm)].map(([, line]) =>
      line!
        .replace(/\s(#|\||>|&&|<).*$/, '')
        .trim()
        .split(/\s+/),
    ),
  );
}

/** What `--help` says of the innermost command that the words name. */
async function helpFor(words: readonly string[]): Promise<string> {
  let help = '';
  for (const path: string[] = []; ; ) {
    const next = words[path.length];
    const names =
      help === '' || new RegExp(`^ {2}${next?.replace(/\W/g, '\\$&')}\\b`, 'm').test(help.split('Commands:')[1] ?? '');
    if (next === undefined || next.startsWith('-') || !names) return help;
    path.push(next);
    const { exitCode, stdout, stderr } = await hypervault([...path, '--help']);
    expect({ words, exitCode, stderr }).toEqual({ words, exitCode: 0, stderr: '' });
    help = stdout;
  }
}

test('every command in README.md and docs/ is one, with the options it is given', async () => {
  const named = PAGES.flatMap((page) => commands(page).map((words) => ({ page, words })));
  expect(named.length).toBeGreaterThan(40);
  const strange: string[] = [];
  for (const { page, words } of named) {
    const help = await helpFor(words);
    for (const word of words) {
      const [option] = /^--?[a-z][\w-]*/.exec(word) ?? [];
      if (option !== undefined && !new RegExp(`(^|[\\s,])${option}(?![\\w-])`).test(help)) {
        strange.push(`${page}: ${option} of hypervault ${words.join(' ')}`);
      }
    }
  }
  expect(strange).toEqual([]);
});
