/** `1.4 GB`; powers of 1024, as Postgres' own pg_size_pretty counts. */
export function sizeText(size: number | bigint): string {
  const bytes = Number(size);
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
