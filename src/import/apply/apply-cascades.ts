import { unescapeField } from '../copy-text/fields.ts';
import type { Destination } from '../route/router.ts';
import type { CascadeStep, RoundCascades } from '../stream/batch.ts';
import { actionOf, type CascadeAction, type CascadeLink, onwardLinks, sameNames } from '../stream/cascade-links.ts';
import type { ApplyTarget } from './apply-batch.ts';
import { cascadeSql, stageColumns, stageSelect } from './cascade-sql.ts';
import { copyIn } from './copy-in.ts';

/** A link at work on the keys that its stage holds for a turn. */
interface Work {
  readonly link: CascadeLink;
  readonly action: CascadeAction;
  readonly turn: number;
  /** Schemas that may hold children of the keys. */
  readonly schemas: readonly string[];
}

/**
 * Does what the source's foreign keys did: level by level, for the children's children are only known when the children
 * have been found. Everything is part of the transaction of the batch.
 */
export async function applyCascades({ links, steps }: RoundCascades, target: ApplyTarget): Promise<void> {
  for (const step of steps) {
    const keys = step.keys.filter(({ at }) => at >= target.applied);
    if (keys.length === 0) continue;
    for (const link of links) {
      if (link.parentId !== step.parentId || !sameNames(link.parentColumns, step.columns)) continue;
      const action = actionOf(link, step.cause);
      if (action === null || target.aside.has(link.child.id)) continue;
      await target.step(link.child, async () => {
        const schemas = schemasOf(link, keys, target.server);
        if (schemas.length === 0) return;
        const stage = await target.stages.cascade(target.client, link, schemas[0]!, stageSelect(link));
        const lines = keys.map(({ old, new: is, at }) => `0\t${at}\t${old}\t${is ?? nulls(link)}\n`);
        await copyIn(target.client, `copy ${stage} (${stageColumns(link).join(', ')}) from stdin`, [
          Buffer.from(lines.join(''), 'latin1'),
        ]);
        await spread({ link, action, turn: 0, schemas }, links, target);
      });
    }
  }
}

/** Runs a link, and then those that the changed rows set to work. */
async function spread(first: Work, links: readonly CascadeLink[], target: ApplyTarget): Promise<void> {
  const queue = [first];
  const cleared = new Set([first.link]);
  for (let work = queue.shift(); work !== undefined; work = queue.shift()) {
    const { link, action, turn, schemas } = work;
    const cause = action === 'delete' ? 'delete' : 'update';
    const next = onwardLinks(
      links.filter(({ parentId }) => parentId === link.child.id),
      link,
      action,
    ).filter((each) => actionOf(each, cause) !== null && !target.aside.has(each.child.id));
    const onward: { link: CascadeLink; stage: string }[] = [];
    for (const each of next) {
      const [place] = destinationsAt(each, target.server);
      if (place === undefined) continue;
      const stage = await target.stages.cascade(
        target.client,
        each,
        place.schema,
        stageSelect(each),
        cleared.has(each),
      );
      cleared.add(each);
      onward.push({ link: each, stage });
    }
    const stage = target.stages.nameOf(link);
    const sql = schemas.map((schema) => cascadeSql({ link, action, schema, stage, turn, onward }));
    const answer: unknown = await target.client.query(sql.join(';\n'));
    const counts = (Array.isArray(answer) ? answer : [answer]) as { rows: { n: number }[] }[];
    const changed = schemas.filter((_, index) => counts[index]!.rows[0]!.n > 0);
    if (changed.length === 0) continue;
    for (const { link: each } of onward) {
      const places = destinationsAt(each, target.server).map(({ schema }) => schema);
      queue.push({
        link: each,
        action: actionOf(each, cause)!,
        turn: turn + 1,
        schemas: each.beside ? places.filter((schema) => changed.includes(schema)) : places,
      });
    }
  }
}

/** Where children of the keys can be: in the shards of the keys when they are routed by them, else everywhere. */
function schemasOf(link: CascadeLink, keys: CascadeStep['keys'], server: string): string[] {
  const { router } = link.child;
  const everywhere = destinationsAt(link, server).map(({ schema }) => schema);
  if (router.kind !== 'by-key' || everywhere.length < 2) return everywhere;
  const fields = router.columns.map((name) => link.childColumns.indexOf(name));
  if (fields.includes(-1)) return everywhere;
  const schemas = new Set<string>();
  for (const { old } of keys) {
    const values = old.split('\t').map((field) => unescapeField(Buffer.from(field, 'latin1')));
    const place = router.route(fields.map((index) => values[index]!));
    if (place.server === server) schemas.add(place.schema);
  }
  return [...schemas];
}

function destinationsAt({ child }: CascadeLink, server: string): readonly Destination[] {
  return child.router.destinations.filter((destination) => destination.server === server);
}

function nulls({ childColumns }: CascadeLink): string {
  return childColumns.map(() => '\\N').join('\t');
}
