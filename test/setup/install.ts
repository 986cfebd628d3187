// npm run test:setup: installs what fault tests need beside the embedded Postgres, on Debian and as root; otherwise says
// what to install; and fetches a MySQL server, which no package of a stable Debian has. Starts nothing. Quick when all is there.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { missingPackages } from '../support/tools.ts';
import { fetchMysqld } from './fetch-mysqld.ts';

const missing = missingPackages();
if (missing.length === 0) {
  console.log('everything the tests can use is installed');
} else if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
  console.log(`tests that need these are skipped; on Debian run as root: apt-get install ${missing.join(' ')}`);
} else {
  install(missing);
}
if (process.env.HYPERVAULT_TEST_MYSQLD === undefined) {
  await fetchMysqld({ signal: AbortSignal.timeout(60_000) }).catch((error: Error) => {
    console.log(`tests that need a MySQL server are skipped, it could not be fetched: ${error.message}`);
  });
}

function install(packages: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Packages of servers start them when they are installed, unless this program says no. Tests start private ones.
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) {
    writeFileSync(policy, '#!/bin/sh\nexit 101\n');
    chmodSync(policy, 0o755);
  }
  try {
    execFileSync('apt-get', ['update', '-q'], { stdio: 'inherit', env });
    execFileSync('apt-get', ['install', '-qy', '--no-install-recommends', ...packages], { stdio: 'inherit', env });
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}
