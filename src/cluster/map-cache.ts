import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatMapDocument, type MapDocument, parseMapDocument } from './map-document.ts';

/** The last map seen, on disk: a program starts with it while the control database is away. */
export class MapCache {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** The map on disk, or `undefined` when there is none. @throws ConfigurationError when the file holds something else */
  async read(): Promise<MapDocument | undefined> {
    let text: Buffer;
    try {
      text = await readFile(this.#file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    return parseMapDocument(text);
  }

  /** Puts a map in the file's place in one step: a crash leaves the old one or the new one. */
  async write(document: MapDocument): Promise<void> {
    await mkdir(dirname(this.#file), { recursive: true });
    const temporary = `${this.#file}.${process.pid}`;
    await writeFile(temporary, formatMapDocument(document));
    await rename(temporary, this.#file);
  }
}
