import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { serverUser } from '../../src/embedded/server-user.ts';
import { EMBEDDED, runProgram } from './program.ts';

// An ordinary user runs these tests as such anyway; root has to become one.
test('an ordinary user starts servers, keeps them, kills them and makes standbys', async () => {
  const user = await serverUser();
  const home = await mkdtemp(join(tmpdir(), 'home-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  if (user !== undefined) await chown(home, user.uid, user.gid);
  const program = runProgram(
    `
      import { startEmbedded } from ${JSON.stringify(EMBEDDED)};
      const embedded = await startEmbedded({ servers: 2, directory: ${JSON.stringify(join(home, 'servers'))} });
      const [server] = embedded.servers;
      await server.kill();
      await server.start();
      const standby = await server.makeStandby();
      await server.stop();
      await standby.promote();
      await server.follow(standby);
      await embedded.stop();
      const again = await startEmbedded({ directory: ${JSON.stringify(join(home, 'servers'))} });
      await again.stop();
      const runAs = await startEmbedded({ runAs: 'nobody' }).catch((error) => error.message);
      console.log(JSON.stringify({ uid: process.getuid(), runAs }));
    `,
    // Node may have been started through a folder that is closed to that user.
    { cwd: '/', env: { HOME: home, TMPDIR: home }, ...(user && { uid: user.uid, gid: user.gid }) },
  );
  expect(await program.said).toEqual({
    uid: user?.uid ?? process.getuid?.(),
    runAs: expect.stringContaining('the option runAs is for processes that run as root'),
  });
  expect(await program.ended).toMatchObject({ code: 0 });
});
