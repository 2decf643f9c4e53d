/** What an address is good for, as far as a policy is concerned. */
export type AddressClass = "public" | "private" | "local" | "reserved";

/**
 * An IP address as four 32-bit words, so that IPv4 and IPv6 are compared by the same code. An IPv4 address stands in its
 * IPv4-mapped form (RFC 4291 §2.5.5.2), and a mapped IPv6 address is an IPv4 address: the kernel connects to the same
 * place for both.
 */
export class IpAddress {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;

  constructor(a: number, b: number, c: number, d: number) {
    this.a = a >>> 0;
    this.b = b >>> 0;
    this.c = c >>> 0;
    this.d = d >>> 0;
  }

  get family(): 4 | 6 {
    return this.a === 0 && this.b === 0 && this.c === 0xffff ? 4 : 6;
  }
}

/**
 * Reads a dotted IPv4 address of four plain decimal parts, or an IPv6 address (RFC 4291 §2.2); null for anything else.
 * Octal, hexadecimal and short IPv4 spellings, brackets and zone ids are not read: `inet_aton` takes `0177.1` for
 * 127.0.0.1, so whoever lets such a text through by taking it for a name must not hand it to a resolver.
 */
export function parseIp(text: string): IpAddress | null {
  if (text.includes(":")) return parseV6(text);
  const word = parseV4(text);
  return word === -1 ? null : new IpAddress(0, 0, 0xffff, word);
}

/** The 32 bits of a dotted IPv4 address, or -1. */
function parseV4(text: string): number {
  let word = 0;
  let parts = 0;
  let part = 0;
  let digits = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? 46 : text.charCodeAt(i);
    if (code === 46) {
      if (digits === 0 || ++parts > 4) return -1;
      word = word * 256 + part;
      part = 0;
      digits = 0;
      continue;
    }
    const digit = code - 48;
    // A leading zero means octal to inet_aton and nothing to others.
    if (digit < 0 || digit > 9 || (digits > 0 && part === 0)) return -1;
    part = part * 10 + digit;
    digits++;
    if (part > 255) return -1;
  }
  return parts === 4 ? word : -1;
}

function parseV6(text: string): IpAddress | null {
  // The longest form holds six groups and an embedded IPv4 address.
  if (text.length > 45) return null;
  const gap = text.indexOf("::");
  if (gap === -1) {
    const groups = parseGroups(text);
    return groups?.length === 8 ? fromGroups(groups) : null;
  }
  if (text.indexOf("::", gap + 1) !== -1) return null;
  const head = gap === 0 ? [] : parseGroups(text.slice(0, gap), false);
  const tail = gap + 2 === text.length ? [] : parseGroups(text.slice(gap + 2));
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (missing < 1) return null;
  return fromGroups([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

/** 16-bit groups between colons; the last may be an IPv4 address, which gives two. */
function parseGroups(text: string, v4Allowed = true): number[] | null {
  const groups: number[] = [];
  const parts = text.split(":");
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] ?? "";
    if (part.includes(".")) {
      const word = v4Allowed && i === parts.length - 1 ? parseV4(part) : -1;
      if (word === -1) return null;
      groups.push(Math.floor(word / 65_536), word % 65_536);
      continue;
    }
    const group = parseGroup(part);
    if (group === -1) return null;
    groups.push(group);
  }
  return groups;
}

function parseGroup(text: string): number {
  if (text.length === 0 || text.length > 4) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = hexDigit(text.charCodeAt(i));
    if (digit === -1) return -1;
    value = value * 16 + digit;
  }
  return value;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function fromGroups(groups: readonly number[]): IpAddress {
  const word = (index: number) => (groups[index] ?? 0) * 65_536 + (groups[index + 1] ?? 0);
  return new IpAddress(word(0), word(2), word(4), word(6));
}

/** All addresses that share the first `length` of 128 bits; an IPv4 range counts from bit 96 of the mapped form. */
export class AddressRange {
  readonly base: IpAddress;
  /** 0 to 128. */
  readonly length: number;

  constructor(base: IpAddress, length: number) {
    this.base = base;
    this.length = length;
  }

  /** An IPv6 range such as `::/0` holds no IPv4 address, although the mapped forms lie within it. */
  has(address: IpAddress): boolean {
    if (this.length < 96 && address.family === 4) return false;
    return this.#covers(address);
  }

  #covers(address: IpAddress): boolean {
    const { base, length } = this;
    return (
      same(base.a, address.a, length) &&
      same(base.b, address.b, length - 32) &&
      same(base.c, address.c, length - 64) &&
      same(base.d, address.d, length - 96)
    );
  }
}

/** True when the first `bits` of two 32-bit words are the same. */
function same(x: number, y: number, bits: number): boolean {
  if (bits <= 0) return true;
  if (bits >= 32) return x === y;
  const shift = 32 - bits;
  return x >>> shift === y >>> shift;
}

/**
 * Reads `address/length`, or a single address.
 *
 * @throws Error `cannot read address range "…": reason`
 */
export function parseRange(text: string): AddressRange {
  const slash = text.indexOf("/");
  const host = slash === -1 ? text : text.slice(0, slash);
  const base = parseIp(host);
  if (base === null) fail(text, "expected an IPv4 or IPv6 address");
  const dotted = !host.includes(":");
  const size = dotted ? 32 : 128;
  if (slash === -1) return new AddressRange(base, 128);
  const digits = text.slice(slash + 1);
  const length = readLength(digits);
  if (length === -1 || length > size) fail(text, `expected a prefix length from 0 to ${size} after the "/"`);
  return new AddressRange(base, dotted ? 96 + length : length);
}

function readLength(digits: string): number {
  if (digits.length === 0 || digits.length > 3 || (digits.length > 1 && digits.startsWith("0"))) return -1;
  let value = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function fail(text: string, reason: string): never {
  throw new Error(`cannot read address range ${JSON.stringify(text)}: ${reason}`);
}

interface Block {
  readonly range: AddressRange;
  readonly class: AddressClass;
}

function block(kind: AddressClass, ...texts: readonly string[]): Block[] {
  return texts.map((text) => ({ range: parseRange(text), class: kind }));
}

/** The first block that holds an address tells its class; what is in none is public (IPv4) or looked at again (IPv6). */
const blocks: readonly Block[] = [
  // Metadata services hand out the machine's credentials. They stand inside ranges that serve other ends too, and a rule
  // has to name one for it to be reached.
  ...block("reserved", "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200"),
  ...block("reserved", "168.63.129.16", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
  // To connect to the unspecified address is to connect to the own machine.
  ...block("local", "127.0.0.0/8", "0.0.0.0", "::1", "::"),
  // RFC 1918, RFC 6598 (carriers' NAT), RFC 3927 (link-local); RFC 4193, RFC 4291 §2.5.6, RFC 3879 (site-local).
  ...block("private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
  ...block("private", "fc00::/7", "fe80::/10", "fec0::/10"),
  // RFC 6890 and IANA's registries of special-purpose addresses: this network, protocol assignments, documentation,
  // former 6to4 relays, benchmarks, multicast, and what is kept for the future with the broadcast address in it.
  ...block("reserved", "0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
  ...block("reserved", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"),
  // Local-use NAT64 (RFC 8215), whose place for the IPv4 address is anybody's choice; discard-only (RFC 6666); protocol
  // assignments with Teredo (RFC 4380) in them; documentation (RFC 3849, RFC 9637); multicast.
  ...block("reserved", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "ff00::/8"),
];

/** RFC 4291 §2.4 and IANA: the only IPv6 space from which global unicast addresses are given out. */
const globalUnicast = parseRange("2000::/3");
/** Outside of it, a rule names a place when it is at least as narrow as the blocks that IANA's registry lists. */
const unassignedLength = 8;

const nat64 = parseRange("64:ff9b::/96");
const sixToFour = parseRange("2002::/16");
const compatible = parseRange("::/96");
const translated = parseRange("::ffff:0:0:0/96");

/**
 * The IPv4 address that a gateway would turn an IPv6 address into: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible
 * (RFC 4291 §2.5.5.1) and IPv4-translated (RFC 2765) forms. Null for other addresses, and for `::` and `::1`.
 */
export function embeddedV4(address: IpAddress): IpAddress | null {
  if (address.family === 4) return null;
  if (sixToFour.has(address)) {
    const word = (address.a % 65_536) * 65_536 + Math.floor(address.b / 65_536);
    return new IpAddress(0, 0, 0xffff, word);
  }
  if (compatible.has(address) && address.d <= 1) return null;
  if (nat64.has(address) || compatible.has(address) || translated.has(address)) {
    return new IpAddress(0, 0, 0xffff, address.d);
  }
  return null;
}

/** The class of an address; of one with an embedded IPv4 address, the class of that. */
export function classOf(address: IpAddress): AddressClass {
  const judged = embeddedV4(address) ?? address;
  for (const { range, class: kind } of blocks) {
    if (range.has(judged)) return kind;
  }
  return judged.family === 4 || globalUnicast.has(judged) ? "public" : "reserved";
}

/** How long a prefix must be to name a reserved address rather than to sweep over it. */
function reservedLength(address: IpAddress): number {
  for (const { range } of blocks) {
    if (range.has(address)) return range.length;
  }
  return unassignedLength;
}

/** One entry of `allow` or `deny`. */
export type AddressRule =
  | { readonly kind: "range"; readonly range: AddressRange }
  | { readonly kind: "classes"; readonly classes: readonly AddressClass[] }
  | { readonly kind: "unix"; readonly abstract: boolean };

const keywords: ReadonlyMap<string, AddressRule> = new Map<string, AddressRule>([
  ["public", { kind: "classes", classes: ["public"] }],
  ["private", { kind: "classes", classes: ["private", "local"] }],
  ["local", { kind: "classes", classes: ["local"] }],
  ["network", { kind: "classes", classes: ["public", "private"] }],
  ["unix", { kind: "unix", abstract: false }],
  ["unix-abstract", { kind: "unix", abstract: true }],
]);

/**
 * Reads one entry of a network's `allow` or `deny`: a CIDR, a single address, or one of workerd's words. `local` is the
 * machine itself; `private` is RFC 1918, RFC 4193, link-local and the like, and the machine itself; `public` is what is
 * in neither; `network` is everything but `local`; `unix` and `unix-abstract` are unix sockets. No word covers reserved
 * addresses (multicast, documentation, metadata services, …).
 *
 * @throws Error `cannot read address rule "…": reason`
 */
export function parseRule(text: string): AddressRule {
  const keyword = keywords.get(text);
  if (keyword !== undefined) return keyword;
  try {
    return { kind: "range", range: parseRange(text) };
  } catch (cause) {
    const hint = text.includes("/")
      ? "expected a CIDR such as 10.0.0.0/8 or fc00::/7"
      : "expected a CIDR, an address, or public, private, local, network, unix or unix-abstract";
    throw new Error(`cannot read address rule ${JSON.stringify(text)}: ${hint}`, { cause });
  }
}

/**
 * Which addresses may be connected to. An address is permitted when a rule of `allow` covers it and none of `deny`
 * does, however narrow either is.
 */
export class AddressPolicy {
  readonly #allow: readonly AddressRule[];
  readonly #deny: readonly AddressRule[];

  /** @throws Error `cannot read address rule "…": reason` */
  constructor(allow: readonly string[], deny: readonly string[]) {
    this.#allow = allow.map(parseRule);
    this.#deny = deny.map(parseRule);
  }

  /**
   * Judges the text that will be connected to, byte for byte. What is no address in plain form, for example one with a
   * zone id, is not permitted: a zone selects an interface, which no rule speaks of.
   */
  permits(text: string): boolean {
    const address = parseIp(text);
    return address !== null && this.permitsIp(address);
  }

  permitsIp(address: IpAddress): boolean {
    const embedded = embeddedV4(address);
    const kind = classOf(address);
    for (const rule of this.#deny) {
      if (rule.kind === "classes" && rule.classes.includes(kind)) return false;
      if (rule.kind !== "range") continue;
      // A rule against an IPv4 range holds however an IPv6 address wraps it.
      if (rule.range.has(address) || (embedded !== null && rule.range.has(embedded))) return false;
    }
    for (const rule of this.#allow) {
      if (rule.kind === "classes" && rule.classes.includes(kind)) return true;
      if (rule.kind === "range" && allows(rule.range, address, embedded, kind)) return true;
    }
    return false;
  }

  permitsUnix(abstract: boolean): boolean {
    return hasUnix(this.#allow, abstract) && !hasUnix(this.#deny, abstract);
  }
}

function hasUnix(rules: readonly AddressRule[], abstract: boolean): boolean {
  return rules.some((rule) => rule.kind === "unix" && rule.abstract === abstract);
}

function allows(
  range: AddressRange,
  address: IpAddress,
  embedded: IpAddress | null,
  kind: AddressClass,
): boolean {
  const judged = embedded ?? address;
  // A range of a translation prefix opens what it translates only where that is public: nobody who writes 64:ff9b::/96
  // means the loopback of the gateway.
  if (embedded !== null && range.has(address) && kind === "public") return true;
  if (!range.has(judged)) return false;
  // 0.0.0.0/0 sweeps over multicast and metadata services; 224.0.0.0/4 and 169.254.169.254/32 mean them.
  return kind !== "reserved" || range.length >= reservedLength(judged);
}
