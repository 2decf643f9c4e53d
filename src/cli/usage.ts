/** The command line was not understood; exit code 2. The message is for people, without a line end. */
export class UsageError extends Error {}

/** Exit codes that scripts and service managers rely on. */
export const exitCodes = { done: 0, failed: 1, usage: 2, cannotListen: 3 } as const;
