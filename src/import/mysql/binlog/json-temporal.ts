/**
 * Prints a packed date or time of MySQL (TIME_from_longlong_*_packed in mysys/my_time.cc) the way it stands in JSON
 * text: always with six digits of a second.
 */
export function writeTemporalText(packed: bigint, type: number): string {
  const negative = packed < 0n;
  const magnitude = negative ? -packed : packed;
  const fraction = (magnitude & 0xff_ffffn).toString().padStart(6, '0');
  const whole = magnitude >> 24n;
  const two = (value: bigint): string => value.toString().padStart(2, '0');
  const clock = (hours: bigint): string => `${two(hours)}:${two((whole >> 6n) & 63n)}:${two(whole & 63n)}.${fraction}`;
  if (type === 11) return `${negative ? '-' : ''}${clock((whole >> 12n) & 1023n)}`;
  const day = whole >> 17n;
  const yearMonth = day >> 5n;
  const date = `${(yearMonth / 13n).toString().padStart(4, '0')}-${two(yearMonth % 13n)}-${two(day & 31n)}`;
  return type === 10 ? date : `${date} ${clock((whole >> 12n) & 31n)}`;
}
