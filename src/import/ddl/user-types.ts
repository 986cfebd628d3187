import { quoteIdentifier, quoteLiteral } from '../../internal/quote.ts';
import type { TargetNeeds } from '../model/target-table.ts';

/** Makes extensions and types of the user unless they are there; on a server once, in the schemas they had. */
export function ensureTypeStatements(needs: TargetNeeds | undefined): string[] {
  if (needs === undefined) return [];
  const schemas = new Set([...needs.extensions, ...needs.types].map(({ schema }) => schema));
  return [
    ...[...schemas].map((schema) => `create schema if not exists ${quoteIdentifier(schema)}`),
    ...needs.extensions.map(
      ({ name, schema }) =>
        `create extension if not exists ${quoteIdentifier(name)} with schema ${quoteIdentifier(schema)}`,
    ),
    ...needs.types.map(
      ({ create }) => `do $hv_type$ begin ${create}; exception when duplicate_object then null; end $hv_type$`,
    ),
  ];
}

/** Labels that an enum has got since its type was made. Cannot be used in the transaction that adds them. */
export function enumLabelStatements(needs: TargetNeeds | undefined): string[] {
  return (needs?.types ?? []).flatMap(({ schema, name, labels }) =>
    (labels ?? []).map((label, n) => {
      const after = n === 0 ? '' : ` after ${quoteLiteral(labels![n - 1]!).trim()}`;
      const type = `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
      return `alter type ${type} add value if not exists ${quoteLiteral(label).trim()}${after}`;
    }),
  );
}
