import type { IndexAction, SearchIndex } from './search-index.ts';

export interface ElasticsearchOptions {
  /** `http://localhost:9200` */
  readonly url: string;
  /** Name of the index. */
  readonly index: string;
  /** `Authorization` header, e.g. `ApiKey …`. */
  readonly authorization?: string;
  /** @default 10000 */
  readonly timeoutMs?: number;
}

interface BulkReply {
  errors: boolean;
  items: Record<string, { _id: string; status: number; error?: { type: string; reason: string } }>[];
}

/**
 * The same over HTTP, for Elasticsearch and OpenSearch: one request of the bulk API for each batch.
 * Its body is NDJSON: a line that says what to do, a line with the document when there is one, a newline at the end.
 */
export class ElasticsearchIndex implements SearchIndex {
  readonly #options: ElasticsearchOptions;

  constructor(options: ElasticsearchOptions) {
    this.#options = options;
  }

  async apply(actions: readonly IndexAction[]): Promise<void> {
    if (actions.length === 0) return;
    const lines = actions.flatMap((action): object[] => {
      if (action.type === 'delete') return [{ delete: { _id: action.id } }];
      const { id, kind, fields } = action.document;
      return [{ index: { _id: id } }, { ...fields, kind }];
    });
    const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    const reply = (await this.#send('_bulk', 'application/x-ndjson', body)) as BulkReply;
    if (!reply.errors) return;
    // The request is accepted as a whole and each action has its own outcome; to delete what is not there is no failure.
    const failed = reply.items
      .flatMap((item) => Object.values(item))
      .filter(({ status, error }) => status >= 300 && !(status === 404 && error === undefined));
    if (failed.length === 0) return;
    const [first] = failed;
    const reason = `${first!._id}: ${first!.error?.type} ${first!.error?.reason}`;
    throw new Error(`${failed.length} of ${actions.length} actions failed, the first one on ${reason}`);
  }

  async search(words: string): Promise<readonly string[]> {
    const query = { query: { simple_query_string: { query: words, default_operator: 'and' } }, size: 100 };
    const reply = (await this.#send('_search', 'application/json', JSON.stringify(query))) as {
      hits: { hits: { _id: string }[] };
    };
    return reply.hits.hits.map(({ _id }) => _id);
  }

  async #send(operation: string, contentType: string, body: string): Promise<unknown> {
    const { url, index, authorization, timeoutMs = 10_000 } = this.#options;
    const response = await fetch(`${url}/${encodeURIComponent(index)}/${operation}`, {
      method: 'POST',
      headers: { 'content-type': contentType, ...(authorization !== undefined && { authorization }) },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) throw new Error(`${operation}: HTTP ${response.status} ${(await response.text()).slice(0, 200)}`);
    return response.json();
  }
}
