// npm run test:mysql: makes sure that there is a MySQL server for the tests, and says which.
import { findMysqld } from '../support/mysqld.ts';
import { fetchMysqld } from './fetch-mysqld.ts';

const named = process.env.HYPERVAULT_TEST_MYSQLD === undefined ? undefined : findMysqld();
console.log(`MySQL: ${named ?? (await fetchMysqld({ signal: AbortSignal.timeout(300_000) }))}`);
