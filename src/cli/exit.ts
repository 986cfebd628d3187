/** How a command ended. */
export const EXIT = { done: 0, failed: 1, wrongUse: 2 } as const;
