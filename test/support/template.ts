// The database on each of the run's servers that is installed once and cloned for each test that wants a datastore.

export const TEMPLATE = 'template_datastore';

export const TEMPLATE_SHARDS = [
  { name: 'a', shards: '1-5' },
  { name: 'b', shards: '5-9' },
] as const;
