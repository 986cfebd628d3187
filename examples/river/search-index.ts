/** A document of the index: the fields of one entity. */
export interface Document {
  /** The entity's id in decimal. */
  readonly id: string;
  readonly kind: number;
  readonly fields: Readonly<Record<string, string | null>>;
}

/** What the index has to do so that it shows what the entity is now. Doing it twice does no harm. */
export type IndexAction =
  | { readonly type: 'index'; readonly document: Document }
  | { readonly type: 'delete'; readonly id: string };

/** Where the river flows to. */
export interface SearchIndex {
  /** Resolves when all actions are in the index; rejects when one of them may not be. */
  apply(actions: readonly IndexAction[]): Promise<void>;
  /** Ids of the documents that hold all these words. */
  search(words: string): Promise<readonly string[]>;
}
