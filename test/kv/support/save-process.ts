// A process of its own that saves two keys into the namespace "diary" and ends: save-process.ts postgres://…
import { PostgresCommitStorage } from '../../../src/kv/index.ts';

const storage = new PostgresCommitStorage({ connection: process.argv[2]!, table: 'diary' });
await storage.start();
await storage.save({ key: 'limits', version: 2, payload: Buffer.from('from another process'), author: 'bot' });
await storage.save({ key: 'new-key-of-another-process', version: 1, payload: Buffer.from('x'), author: 'bot' });
await storage.stop();
