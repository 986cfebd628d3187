import type { Result } from './result.ts';

/** The page bench/RESULTS.md. */
export function resultsPage(results: readonly Result[], machine: Readonly<Record<string, string>>): string {
  const questions = [...new Set(results.map(({ bench }) => bench))];
  return `# Results

Written by \`npm run bench\`: every rival in the same run, on the same servers, taking turns; medians. Clients, rivals and
servers shared one machine, so read the ratios and not the figures.

${Object.entries(machine)
  .map(([name, value]) => `- ${name}: ${value}`)
  .join('\n')}

${questions
  .map((question) =>
    section(
      question,
      results.filter(({ bench }) => bench === question),
    ),
  )
  .join('\n')}`;
}

function section(question: string, results: readonly Result[]): string {
  const rows = results.map(
    (result) =>
      `| ${caseOf(result)} | ${number(result.ours)} ${result.unit} | ${rivalsOf(result)} | ${furtherOf(result)} |`,
  );
  return `## ${question}

| case | ours | rivals (ours is so many times theirs) | further |
|---|---|---|---|
${rows.join('\n')}
`;
}

/** Plain fields say which case it is. */
function caseOf({ bench: _, unit: __, ours: ___, ...rest }: Result): string {
  const plain = Object.entries(rest).filter(([, value]) => typeof value !== 'object');
  return plain.map(([name, value]) => `${name} ${value}`).join(', ');
}

function rivalsOf({ ours, rivals = {} }: Result): string {
  return Object.entries(rivals)
    .filter(([, theirs]) => theirs !== null)
    .map(([name, theirs]) => `${name} ${number(theirs)} (**${(ours / theirs).toFixed(ours / theirs < 10 ? 2 : 1)} ×**)`)
    .join('<br>');
}

/** Figures by rival, p99Ms above all. */
function furtherOf({ rivals: _, ...rest }: Result): string {
  return Object.entries(rest)
    .flatMap(([name, value]) => (typeof value === 'object' && value !== null ? [`${name}: ${listed(value)}`] : []))
    .join('<br>');
}

function listed(value: object): string {
  if (Array.isArray(value)) return value.join('; ');
  return Object.entries(value)
    .filter(([, figure]) => figure !== null)
    .map(([name, figure]) => `${name} ${shown(figure)}`)
    .join(', ');
}

function shown(figure: unknown): string {
  if (typeof figure === 'number') return number(figure);
  return typeof figure === 'object' && figure !== null ? `(${listed(figure)})` : String(figure);
}

function number(value: number): string {
  return value >= 1_000 ? Math.round(value).toLocaleString('en') : String(value);
}
