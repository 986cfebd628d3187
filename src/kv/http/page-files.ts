import { readFile } from 'node:fs/promises';
import { entityTagOfText } from './entity-tag.ts';

/** One file of the web page, as it is sent. */
export interface PageFile {
  readonly type: string;
  readonly etag: string;
  readonly body: Buffer;
}

// Both src/kv/http and dist/kv/http lie three folders below the package.
const FOLDER = new URL('../../../web/kv/', import.meta.url);

/** Every file there is: a name that is not here is not looked for. */
const TYPES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'icon.svg': 'image/svg+xml',
  'page.css': 'text/css; charset=utf-8',
  'main.js': 'text/javascript; charset=utf-8',
  'api.js': 'text/javascript; charset=utf-8',
  'diff-view.js': 'text/javascript; charset=utf-8',
  'editor.js': 'text/javascript; charset=utf-8',
  'element.js': 'text/javascript; charset=utf-8',
  'follow.js': 'text/javascript; charset=utf-8',
  'heads.js': 'text/javascript; charset=utf-8',
  'history.js': 'text/javascript; charset=utf-8',
  'key-list.js': 'text/javascript; charset=utf-8',
  'key-view.js': 'text/javascript; charset=utf-8',
  'payload.js': 'text/javascript; charset=utf-8',
  'sign-in.js': 'text/javascript; charset=utf-8',
};

const read = new Map<string, Promise<PageFile>>();

/** A file of the page by its name; `undefined` when there is none. Read once. */
export function pageFile(name: string): Promise<PageFile> | undefined {
  if (!Object.hasOwn(TYPES, name)) return undefined;
  let file = read.get(name);
  if (file === undefined) {
    file = load(name, TYPES[name]!);
    read.set(name, file);
    file.catch(() => read.delete(name));
  }
  return file;
}

async function load(name: string, type: string): Promise<PageFile> {
  const body = await readFile(new URL(name, FOLDER));
  return { type, body, etag: entityTagOfText(body.toString()) };
}
