/**
 * True when a header section may have X-Forwarded-* or Forwarded. It looks at three characters of each line: all requests
 * are asked, and few have any.
 */
export function mayTellForwarding(lines: string): boolean {
  for (let line = 0; line < lines.length; line = lines.indexOf("\n", line) + 1) {
    const code = lines.charCodeAt(line) | 0x20;
    // "x-f…" and "for…"
    if (code === 0x78 ? (lines.charCodeAt(line + 2) | 0x20) === 0x66 : code === 0x66) return true;
  }
  return false;
}

/** A hop as X-Forwarded-For or `for=` names it: an address without its port and brackets, and the port or 0. */
export function parseHop(text: string): { address: string; port: number } {
  let from = text.trim();
  if (from.startsWith('"') && from.endsWith('"')) from = from.slice(1, -1);
  if (from.startsWith("[")) {
    const end = from.indexOf("]");
    return { address: end < 0 ? from : from.slice(1, end), port: portOf(from.slice(end + 2)) };
  }
  const colon = from.indexOf(":");
  // Two colons are an IPv6 address without brackets, as X-Forwarded-For has them.
  if (colon < 0 || from.indexOf(":", colon + 1) >= 0) return { address: from, port: 0 };
  return { address: from.slice(0, colon), port: portOf(from.slice(colon + 1)) };
}

function portOf(text: string): number {
  return /^\d{1,5}$/.test(text) && Number(text) < 65_536 ? Number(text) : 0;
}

/** One element of Forwarded (RFC 7239 §4), with names in lower case; a list of them is cut at commas outside of quotes. */
export function parseForwarded(value: string): Array<ReadonlyMap<string, string>> {
  return split(value, ",").map((element) => {
    const pairs = new Map<string, string>();
    for (const pair of split(element, ";")) {
      const equals = pair.indexOf("=");
      if (equals < 0) continue;
      const text = pair.slice(equals + 1).trim();
      const quoted = text.length > 1 && text.startsWith('"') && text.endsWith('"');
      pairs.set(
        pair.slice(0, equals).trim().toLowerCase(),
        quoted ? text.slice(1, -1).replace(/\\(.)/g, "$1") : text,
      );
    }
    return pairs;
  });
}

function split(value: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const each = value[at];
    if (quoted && each === "\\") at++;
    else if (each === '"') quoted = !quoted;
    else if (each === separator && !quoted) {
      parts.push(value.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(value.slice(from));
  return parts;
}

/** A node as Forwarded writes it (RFC 7239 §6): an IPv6 address stands in brackets and quotes. */
export function forwardedNode(address: string): string {
  return address.includes(":") ? `"[${address}]"` : address;
}
