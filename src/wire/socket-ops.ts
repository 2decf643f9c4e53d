/** Records of sockets beside those of ops.ts. */

/** socket (the fetch that opened it), upgraded (a fetch anew), out (what is written to the new one), lenHost: TLS from here on. */
export const OUT_START_TLS = 46;
export const socketOutSizes = { 46: 4 } as const;

// How a socket that a guest opens is secured; the last field of OUT_CONNECT before its address.

export const SECURE_OFF = 0;
/** TLS from the start. */
export const SECURE_ON = 1;
/** None until OUT_START_TLS asks for it. */
export const SECURE_LATER = 2;
