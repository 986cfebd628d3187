const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Ends something gracefully on the first SIGINT or SIGTERM and at once on the second.
 *
 * @returns gives the signals back; until then the process does not end by them
 */
export function handleProcessSignals({
  onFirst,
  onSecond,
}: {
  onFirst: (signal: string) => void;
  onSecond: (signal: string) => void;
}): () => void {
  let seen = 0;
  const onSignal = (signal: string): void => {
    seen += 1;
    if (seen === 1) onFirst(signal);
    else onSecond(signal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}
