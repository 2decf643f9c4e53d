import { IpAddress } from "./cidr.ts";

/** An address as people write it: dotted, or for IPv6 in the form of RFC 5952. */
export function formatIp(address: IpAddress): string {
  const { a, b, c, d } = address;
  if (address.family === 4) return [d >>> 24, (d >>> 16) & 255, (d >>> 8) & 255, d & 255].join(".");
  const groups = [a, b, c, d].flatMap((word) => [word >>> 16, word & 0xffff]);
  let longest = 0;
  let from = -1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > longest && end - i > 1) {
      longest = end - i;
      from = i;
    }
  }
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  return from === -1 ? text(groups) : `${text(groups.slice(0, from))}::${text(groups.slice(from + longest))}`;
}

/** The address in four bytes, or in sixteen. */
export function readIp(bytes: Buffer): IpAddress {
  if (bytes.length === 4) return new IpAddress(0, 0, 0xffff, bytes.readUInt32BE(0));
  return new IpAddress(
    bytes.readUInt32BE(0),
    bytes.readUInt32BE(4),
    bytes.readUInt32BE(8),
    bytes.readUInt32BE(12),
  );
}

/** The sixteen bytes of an address; IPv4 in its mapped form (RFC 4291 §2.5.5.2). */
export function ipBytes({ a, b, c, d }: IpAddress): Buffer {
  const bytes = Buffer.alloc(16);
  for (const [index, word] of [a, b, c, d].entries()) bytes.writeUInt32BE(word, index * 4);
  return bytes;
}
