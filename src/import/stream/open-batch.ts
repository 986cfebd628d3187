import { Batch } from './batch.ts';
import type { BatchQueue } from './batch-queue.ts';
import type { FlowGate } from './flow-gate.ts';

export interface OpenBatchOptions {
  /** Where reading begins. */
  readonly from: bigint;
  readonly queue: BatchQueue;
  /** Held while the queue is full. */
  readonly flow: FlowGate;
  /** Told of each batch that ends with a whole transaction. */
  readonly handedOver: (batch: Batch) => void;
}

/** The batch that a reader fills, and how it goes to the applier. */
export class OpenBatch {
  current = new Batch();
  readonly #options: OpenBatchOptions;

  constructor(options: OpenBatchOptions) {
    this.#options = options;
    this.current.from = options.from;
    options.queue.onRoom = () => options.flow.release('queue');
  }

  /** At the end of a transaction. */
  push(): void {
    const batch = this.current;
    const { queue, flow, handedOver } = this.#options;
    this.current = new Batch();
    // In the middle of a transaction the parts that follow belong to where it began
    this.current.from = batch.complete ? batch.end!.ordinal : batch.from;
    this.current.sourceTimeMs = batch.complete ? 0 : batch.sourceTimeMs;
    if (batch.complete) handedOver(batch);
    queue.push(batch);
    if (queue.full) flow.hold('queue');
  }

  /** A transaction that outgrows the memory goes on in parts; the target commits with the last one. */
  pushPart(): void {
    this.current.complete = false;
    this.push();
  }
}
