/** A statement with the name it is prepared under, once for each session. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** A row of a commit, as node-postgres hands it over. */
export interface CommitRow {
  readonly revision: string;
  readonly key: string;
  readonly version: number;
  readonly payload: Buffer | null;
  readonly author: string;
  readonly comment: string;
  readonly mtime: Date;
}

/** A row beside which there may be no commit: outer joins say how far the namespace has come even so. */
export type MaybeCommitRow = CommitRow | { readonly [Field in keyof CommitRow]: null };

export type ChangesRow = MaybeCommitRow & { readonly newest: string; readonly compacted_through: string };
export type NewestRow = MaybeCommitRow & { readonly newest: string };
export type PublishedRow = MaybeCommitRow & { readonly newest: string; readonly timeline: string };

const COMMIT = 'revision, key, version, payload, author, comment, mtime';

export const STATEMENTS = {
  save: {
    name: 'hv_kv_save',
    text: 'select hypervault.kv_save($1, $2, $3, $4, $5, $6, $7) as revision',
  },
  saveMany: {
    name: 'hv_kv_save_many',
    text: 'select revision, newest from hypervault.kv_save_many($1, $2, $3, $4, $5, $6, $7)',
  },
  saveAll: {
    name: 'hv_kv_save_all',
    text: 'select hypervault.kv_save_all($1, $2, $3, $4, $5, $6, $7, $8, $9) as revisions',
  },
  import: {
    name: 'hv_kv_import',
    text: 'select hypervault.kv_import($1, $2, $3, $4, $5, $6, $7, $8) as revision',
  },
  present: {
    name: 'hv_kv_present',
    text:
      `select ${COMMIT} from hypervault.kv_commits where namespace = $1 ` +
      'and (key, version) in (select * from unnest($2::text[], $3::integer[]))',
  },
  newestVersions: {
    name: 'hv_kv_newest_versions',
    text: 'select key, max(version) as version from hypervault.kv_commits where namespace = $1 group by key',
  },
  publish: {
    name: 'hv_kv_publish',
    text: 'select hypervault.kv_publish($1, $2, $3, $4, $5, $6, $7) as changed',
  },
  getNewest: {
    name: 'hv_kv_get_newest',
    text: `select ${COMMIT} from hypervault.kv_commits where namespace = $1 and key = $2 order by version desc limit 1`,
  },
  getVersion: {
    name: 'hv_kv_get_version',
    text: `select ${COMMIT} from hypervault.kv_commits where namespace = $1 and key = $2 and version = $3`,
  },
  history: {
    name: 'hv_kv_history',
    text:
      `select ${COMMIT} from hypervault.kv_commits ` +
      'where namespace = $1 and key = $2 and version < $3 order by version desc limit $4',
  },
  newest: {
    name: 'hv_kv_newest',
    text: `select newest, ${COMMIT} from hypervault.kv_newest($1, $2)`,
  },
  changes: {
    name: 'hv_kv_changes',
    text: `select newest, compacted_through, ${COMMIT} from hypervault.kv_changes($1, $2, $3, $4)`,
  },
  published: {
    name: 'hv_kv_published',
    text: `select newest, timeline, ${COMMIT} from hypervault.kv_published($1, $2, $3)`,
  },
  publishedKey: {
    name: 'hv_kv_published_key',
    text: `select ${COMMIT} from hypervault.kv_heads where namespace = $1 and key = $2 and payload is not null`,
  },
  revision: {
    name: 'hv_kv_revision',
    text: 'select revision from hypervault.kv_namespaces where namespace = $1',
  },
  notify: {
    name: 'hv_kv_notify',
    text: 'select hypervault.kv_notify(namespace, revision) from hypervault.kv_namespaces where namespace = $1',
  },
  retain: {
    name: 'hv_kv_retain',
    text: 'select hypervault.kv_retain($1, $2, $3, $4, $5, $6) as gone',
  },
  compact: {
    name: 'hv_kv_compact',
    text: 'select hypervault.kv_compact($1, $2) as gone',
  },
} as const satisfies Record<string, Statement>;
