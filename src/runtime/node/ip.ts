import { nodeError, outOfRange } from "./errors.ts";

const v4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

export function isIPv4(text: unknown): boolean {
  return typeof text === "string" && v4.test(text) && !/(^|\.)0\d/.test(text);
}

export function isIPv6(value: unknown): boolean {
  if (typeof value !== "string") return false;
  const text = value.replace(/%[^%]+$/, "");
  if (!/^[0-9a-fA-F:.]+$/.test(text) || !text.includes(":")) return false;
  const URLClass = (globalThis as unknown as { URL: { canParse(text: string): boolean } }).URL;
  return URLClass.canParse(`http://[${text}]/`);
}

export const isIP = (text: unknown): number => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0);

/** A list of addresses that are not to be reached; it only answers questions. */
export class BlockList {
  readonly rules: string[] = [];
  readonly #tests: ((address: bigint, family: string) => boolean)[] = [];

  addAddress(address: string, family = "ipv4"): void {
    const wanted = toNumber(address, family);
    this.rules.unshift(`Address: ${family === "ipv4" ? "IPv4" : "IPv6"} ${address}`);
    this.#tests.push((given, kind) => kind === family && given === wanted);
  }

  addRange(start: string, end: string, family = "ipv4"): void {
    const [low, high] = [toNumber(start, family), toNumber(end, family)];
    if (low > high) throw outOfRange("start", "<= end", start);
    this.rules.unshift(`Range: ${family === "ipv4" ? "IPv4" : "IPv6"} ${start}-${end}`);
    this.#tests.push((given, kind) => kind === family && given >= low && given <= high);
  }

  addSubnet(network: string, prefix: number, family = "ipv4"): void {
    const shift = BigInt((family === "ipv4" ? 32 : 128) - prefix);
    const wanted = toNumber(network, family) >> shift;
    this.rules.unshift(`Subnet: ${family === "ipv4" ? "IPv4" : "IPv6"} ${network}/${prefix}`);
    this.#tests.push((given, kind) => kind === family && given >> shift === wanted);
  }

  check(address: string, family = "ipv4"): boolean {
    const given = toNumber(address, family);
    return this.#tests.some((matches) => matches(given, family));
  }
}

function toNumber(address: string, family: string): bigint {
  if (family === "ipv4") {
    if (!isIPv4(address)) throw nodeError(Error, "ERR_INVALID_ADDRESS", "Invalid address");
    return address.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  }
  if (!isIPv6(address)) throw nodeError(Error, "ERR_INVALID_ADDRESS", "Invalid address");
  const URLClass = (globalThis as unknown as { URL: new (text: string) => { hostname: string } }).URL;
  const [head = "", tail] = new URLClass(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const [front, back] = [groups(head), groups(tail ?? "")];
  const all =
    tail === undefined
      ? front
      : [...front, ...Array<string>(8 - front.length - back.length).fill("0"), ...back];
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}
