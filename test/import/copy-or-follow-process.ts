// A process of its own that copies, replicates or detaches, to be killed: node --import tsx copy-or-follow-process.ts CONFIG COMMAND
import { ReplicaEngine } from '../../src/import/index.ts';

const [, , config, command] = process.argv;
const engine = new ReplicaEngine({ config: JSON.parse(config!) as object });
const logger = (line: unknown): void => console.log(JSON.stringify(line));
try {
  if (command === 'init') {
    logger(await engine.initReplica('shop', { onProgress: ({ rows }) => logger({ rows }) }));
  } else if (command === 'switch') {
    await engine.switchOver('shop');
  } else if (command === 'back') {
    await engine.back('shop');
  } else if (command === 'init-anew') {
    logger(await engine.initReplica('shop', { resume: false, onProgress: ({ rows }) => logger({ rows }) }));
  } else if (command === 'detach') {
    logger(await engine.detachReplica('shop'));
  } else {
    await engine.startReplica('shop', {
      onStarted: () => logger('started'),
      onApplied: ({ changes }) => logger({ changes }),
    });
  }
} finally {
  await engine.close();
}
