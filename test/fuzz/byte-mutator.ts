import type { Random } from "./random.ts";

/** Bytes that lengths and types of binary protocols turn on. */
const telling = [0, 1, 2, 3, 4, 0x10, 0x16, 0x20, 0x7f, 0x80, 0xfe, 0xff];

/** Changes some bytes of a binary message: flips, replaces, cuts, repeats, inserts. */
export function mutateBytes(random: Random, input: Buffer): Buffer {
  let bytes = Buffer.from(input);
  for (let change = random.below(4); change >= 0; change--) {
    const at = random.below(Math.max(1, bytes.length));
    const length = 1 + random.below(8);
    switch (random.below(6)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 1:
        bytes[at] = random.pick(telling);
        break;
      case 2:
        bytes[at] = random.below(256);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
        break;
      default:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from(Array.from({ length }, () => random.pick(telling))),
          bytes.subarray(at),
        ]);
    }
  }
  return bytes;
}
