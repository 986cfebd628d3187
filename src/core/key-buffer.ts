/**
 * Gives {@link Key} its binary form. A file of its own, so that the browser door needs no Buffer.
 *
 * @module
 */

import { toBigIntBE, toBufferBE } from 'bigint-buffer/js';
import { InvalidKeyError } from './errors.ts';
import { Key, type KeyOptions } from './key.ts';

declare module './key.ts' {
  interface Key {
    /** 8 bytes, big-endian: they sort like the ids. */
    toBuffer(): Buffer;
  }
  namespace Key {
    /**
     * Reads what `toBuffer` wrote.
     * @throws InvalidKeyError unless there are 8 bytes with the top bit clear
     */
    function fromBuffer(bytes: Uint8Array, options?: KeyOptions): Key;
  }
}

const ID_BYTES = 8;

Key.prototype.toBuffer = function toBuffer(this: Key): Buffer {
  return Buffer.from(toBufferBE(this.id, ID_BYTES));
};

Key.fromBuffer = function fromBuffer(bytes: Uint8Array, options?: KeyOptions): Key {
  if (!(bytes instanceof Uint8Array) || bytes.length !== ID_BYTES) {
    const what = bytes instanceof Uint8Array ? `${bytes.length} bytes` : typeof bytes;
    throw new InvalidKeyError(`the binary form of a key is ${ID_BYTES} bytes, not ${what}`);
  }
  return new Key(toBigIntBE(bytes), options);
};
