import type { Dialect } from './sql-literals.ts';

/** Finds where a statement ends that goes over several lines: at a `;` outside of quotes. */
export class StatementEnd {
  readonly #dialect: Dialect;
  #quote: string | undefined;
  #backslashes = false;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /** @returns whether the statement ended in this line */
  feed(line: string): boolean {
    for (let at = 0; at < line.length; ) {
      if (this.#quote === undefined) {
        const next = /['"`;]/g;
        next.lastIndex = at;
        const found = next.exec(line);
        if (found === null) return false;
        if (found[0] === ';') return true;
        this.#quote = found[0];
        this.#backslashes = found[0] === "'" && (this.#dialect === 'mysql' || /\bE$/.test(line.slice(0, found.index)));
        at = found.index + 1;
      } else {
        const next = this.#backslashes ? /['\\]/g : new RegExp(this.#quote, 'g');
        next.lastIndex = at;
        const found = next.exec(line);
        if (found === null) return false;
        at = found.index + 1;
        // A doubled quote ends and begins again, which comes to the same.
        if (found[0] === '\\') at += 1;
        else this.#quote = undefined;
      }
    }
    return false;
  }
}
