import { randomBytes } from "node:crypto";

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
let pool = Buffer.alloc(0);
let used = 0;

/** A short id that ties what a client saw to a line of the log: 12 characters, 60 random bits. */
export function newErrorId(): string {
  if (used + 12 > pool.length) {
    pool = randomBytes(1200);
    used = 0;
  }
  let id = "";
  for (let i = 0; i < 12; i++) id += alphabet[(pool[used + i] ?? 0) & 31];
  used += 12;
  return id;
}
