/** Where the path of a request target ends: at the query, or at the target's end. */
export function pathEnd(target: string): number {
  const query = target.indexOf("?");
  return query === -1 ? target.length : query;
}

/**
 * True when the path, the first `end` characters of `target`, can be read in one way only: without escapes,
 * backslashes, parameters, empty segments, and segments that begin with a dot.
 */
export function isPlainPath(target: string, end: number): boolean {
  let previous = 0;
  for (let i = 0; i < end; i++) {
    const code = target.charCodeAt(i);
    if (code === 37 || code === 59 || code === 92 || code === 35 || code === 0) return false;
    if (previous === 47 && (code === 47 || code === 46)) return false;
    previous = code;
  }
  return true;
}

/**
 * Every way in which a server could read a path, the canonical one first: escapes decoded once, backslashes taken for
 * slashes, empty and dot segments removed (RFC 3986 §5.2.4, §6.2.2). Octets stand as the characters of their number.
 * Whoever decides by the path takes the same decision for all of them, or refuses; otherwise `/public/..%2Fadmin` is one
 * thing to the proxy and another to the server behind it.
 *
 * Null when the path is ambiguous by itself: a broken escape, a NUL, a `#`, or a dot segment together with an empty
 * segment, an unusual slash or a parameter, where servers differ on what the dots remove.
 *
 * @param parameters some servers drop what follows a `;` in a segment before they look at the dots (RFC 3986 §3.3), so
 *   that `/public/..;/admin` is `/admin` to them; false when it is known that this one does not
 */
export function pathForms(path: string, parameters = true): string[] | null {
  const decoded = decodePath(path, decodeEverything);
  if (decoded === null || path.includes("#") || decoded.includes("\0")) return null;
  const literal = decodePath(path, decodeNecessary) ?? path;
  const slashed = decoded.replaceAll("\\", "/");
  const unusual = slashed.includes("//") || slashed !== decoded || hasEscapedSlash(path);
  const bare = parameters ? withoutParameters(slashed) : slashed;
  const dotted = hasDotSegment(bare);
  if ((unusual || bare !== slashed) && dotted) return null;
  const forms = [removeSegments(slashed), decoded, literal];
  if (unusual) {
    forms.push(slashed, mergeSlashes(decoded), decodePath(path, decodeAllButSlashes) ?? path);
  }
  if (bare !== slashed) forms.push(bare, removeSegments(bare));
  return forms;
}

/**
 * The canonical path, the first of `pathForms`, as it is written in a target; null when the path has none that everybody
 * would agree on: a broken escape, a NUL, a `#`.
 */
export function canonicalPath(path: string): string | null {
  const decoded = decodePath(path, decodeEverything);
  if (decoded === null || path.includes("#") || decoded.includes("\0")) return null;
  const canonical = removeSegments(decoded.replaceAll("\\", "/"));
  let text = "";
  for (let i = 0; i < canonical.length; i++) {
    const octet = canonical.charCodeAt(i);
    const isPlain = octet !== 35 && octet !== 63 && !decodeNecessary(octet);
    text += isPlain ? canonical[i] : `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

/** The path with the escapes decoded that `wanted` names by their octet; null when an escape is broken. */
function decodePath(path: string, wanted: (octet: number) => boolean): string | null {
  let at = path.indexOf("%");
  if (at === -1) return path;
  let text = "";
  let from = 0;
  while (at !== -1) {
    const octet = escapedOctet(path, at);
    if (octet === -1) return null;
    if (wanted(octet)) {
      text += path.slice(from, at) + String.fromCharCode(octet);
      from = at + 3;
    }
    at = path.indexOf("%", at + 3);
  }
  return text + path.slice(from);
}

/** The octet that the escape at `at` stands for, or -1 when there is no whole escape. */
export function escapedOctet(path: string, at: number): number {
  const high = hexValue(path, at + 1);
  const low = hexValue(path, at + 2);
  return high === -1 || low === -1 ? -1 : high * 16 + low;
}

function hexValue(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function decodeEverything(): boolean {
  return true;
}

/** An octet that cannot stand in a path but escaped (RFC 3986 §3.3) has one spelling, so decoding it changes nothing. */
function decodeNecessary(octet: number): boolean {
  return octet <= 32 || octet >= 127 || '"%<>[]^`{|}'.includes(String.fromCharCode(octet));
}

function decodeAllButSlashes(octet: number): boolean {
  return octet !== 47 && octet !== 92;
}

function hasEscapedSlash(path: string): boolean {
  for (let at = path.indexOf("%"); at !== -1; at = path.indexOf("%", at + 1)) {
    const octet = escapedOctet(path, at);
    if (octet === 47 || octet === 92) return true;
  }
  return false;
}

function hasDotSegment(path: string): boolean {
  for (let at = path.indexOf("/."); at !== -1; at = path.indexOf("/.", at + 1)) {
    let end = at + 2;
    if (path.charCodeAt(end) === 46) end++;
    if (end === path.length || path.charCodeAt(end) === 47) return true;
  }
  return false;
}

function withoutParameters(path: string): string {
  return path.includes(";") ? path.replaceAll(/;[^/]*/g, "") : path;
}

function mergeSlashes(path: string): string {
  return path.replaceAll(/\/{2,}/g, "/");
}

/** Without empty and dot segments; `..` at the root stays there. A last segment that goes leaves its slash. */
function removeSegments(path: string): string {
  const kept: string[] = [];
  let last = "";
  for (const segment of path.split("/")) {
    last = segment;
    if (segment === "..") kept.pop();
    else if (segment !== "" && segment !== ".") kept.push(segment);
  }
  const directory = last === "" || last === "." || last === "..";
  return kept.length === 0 ? "/" : `/${kept.join("/")}${directory ? "/" : ""}`;
}
