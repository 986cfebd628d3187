import type { MapStore } from '../map-store.ts';
import type { MoveJournal, MoveObjects, MoveRow } from './journal.ts';
import { type LinkNames, linkNames } from './names.ts';
import type { MoveProgress, ResolvedMoveOptions } from './options.ts';
import type { Party } from './parties.ts';
import type { MoveStep, StepPhase } from './steps.ts';

/** Who has the shard, and who gets it: on the way there source and target, on the way back the other way round. */
export interface Passage {
  readonly from: Party;
  readonly to: Party;
  /** Publication and slot at `from`, subscription at `to`. */
  readonly link: string;
}

/** One move under way: its row in the journal, its servers, and what its steps share. */
export class Moving {
  readonly schema: string;
  readonly source: Party;
  readonly target: Party;
  readonly journal: MoveJournal;
  readonly store: MapStore;
  readonly options: ResolvedMoveOptions;
  readonly links: LinkNames;
  #row: MoveRow;

  constructor(
    row: MoveRow,
    parts: {
      schema: string;
      source: Party;
      target: Party;
      journal: MoveJournal;
      store: MapStore;
      options: ResolvedMoveOptions;
    },
  ) {
    this.#row = row;
    this.schema = parts.schema;
    this.source = parts.source;
    this.target = parts.target;
    this.journal = parts.journal;
    this.store = parts.store;
    this.options = parts.options;
    this.links = linkNames(row.token);
  }

  get row(): MoveRow {
    return this.#row;
  }

  get shardId(): number {
    return this.#row.shardId;
  }

  get objects(): MoveObjects {
    return this.#row.objects;
  }

  get signal(): AbortSignal | undefined {
    return this.options.signal;
  }

  get forward(): Passage {
    return { from: this.source, to: this.target, link: this.links.forward };
  }

  get back(): Passage {
    return { from: this.target, to: this.source, link: this.links.back };
  }

  async keep(objects: MoveObjects): Promise<void> {
    this.#row = await this.journal.keep(this.#row.id, objects);
  }

  async reread(): Promise<void> {
    this.#row = await this.journal.read(this.#row.id);
  }

  report(step: MoveStep, progress: Partial<MoveProgress> = {}): void {
    const { id: moveId, shardId, source, target } = this.#row;
    this.options.onProgress?.({ moveId, shardId, source, target, step, ...progress });
  }

  async reached(step: MoveStep, phase: StepPhase): Promise<void> {
    await this.options.onStep?.(step, phase, this.shardId);
  }

  /** One step: intent written, acted, outcome written. */
  async step(step: MoveStep, act: () => Promise<unknown>): Promise<void> {
    const entry = await this.journal.begin(this.#row.id, step);
    this.report(step);
    await this.reached(step, 'begun');
    const detail = await act();
    await this.reached(step, 'acted');
    await this.journal.done(entry, detail);
  }
}
