// Counts what vitest's JSON report says and ends with it: node tally.mjs REPORT EXIT-CODE-OF-VITEST
import { readFileSync } from 'node:fs';

const [path, exitCode] = process.argv.slice(2);
let files = [];
try {
  files = JSON.parse(readFileSync(path, 'utf8')).testResults;
} catch (error) {
  console.error(`vitest left no report: ${error.message}`);
}
const counts = { passed: 0, failed: 0, skipped: 0 };
for (const { name, status, message, assertionResults } of files) {
  for (const test of assertionResults) {
    counts[test.status in counts ? test.status : 'skipped'] += 1;
    // Passed at a further try: what went wrong before must be seen, or nobody ever looks for it.
    if (test.status === 'passed' && test.failureMessages.length > 0) {
      console.error(`${name}: "${test.title}" passed only when tried again: ${test.failureMessages.join('\n')}`);
    }
  }
  // A file fails without a failed test when it can't be loaded, or when it leaks.
  if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) {
    console.error(`${name} failed: ${message}`);
    counts.failed += 1;
  }
}
// Errors that belong to no test, or no report at all.
if (exitCode !== '0' && counts.failed === 0) counts.failed = 1;
if (counts.passed + counts.failed === 0) counts.failed = 1;
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;
