/** The segments of a path below the root, decoded; `directory` when the path ended in a slash. */
export interface DiskPath {
  readonly segments: readonly string[];
  readonly directory: boolean;
}

/** The path is malformed: nobody may guess what it means. */
export const refused = 400;
/** No file has such a name. */
export const missing = 404;

/** Names of files that are being written; they are never served and cannot be written by name. */
export const temporaryPrefix = ".sluice-put-";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a request's path as names below a directory. Escapes are decoded once, so `%252e` is the name `%2e`. Whatever a
 * file system, or another reader of the path, could take for a way out is refused rather than resolved: `.` and `..` in
 * any spelling, NUL, a backslash, an escaped slash, a broken escape, and octets that are not UTF-8 (overlong forms of
 * a dot or a slash are not). A name that begins with a dot does not exist unless `dotfiles` is true.
 *
 * @returns the path, or the status that the request gets.
 */
export function readDiskPath(path: string, dotfiles: boolean): DiskPath | typeof refused | typeof missing {
  if (path.charCodeAt(0) !== 47 || path.includes("\\") || path.includes("#")) return refused;
  const raw = path.split("/").slice(1);
  const directory = raw.at(-1) === "";
  if (directory) raw.pop();
  const segments: string[] = [];
  let hidden = false;
  for (const text of raw) {
    const segment = decodeSegment(text);
    if (segment === null || segment === "." || segment === "..") return refused;
    if (segment.includes("/") || segment.includes("\\") || segment.includes("\0")) return refused;
    hidden ||=
      segment === "" || (segment.startsWith(".") && !dotfiles) || segment.startsWith(temporaryPrefix);
    segments.push(segment);
  }
  return hidden ? missing : { segments, directory };
}

/** Null when an escape is broken or the octets are not UTF-8. */
function decodeSegment(text: string): string | null {
  if (isPlain(text)) return text;
  const octets = new Uint8Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    let octet = text.charCodeAt(i);
    if (octet > 255) return null;
    if (octet === 37) {
      const high = hexDigit(text.charCodeAt(i + 1));
      const low = hexDigit(text.charCodeAt(i + 2));
      if (high === -1 || low === -1) return null;
      octet = high * 16 + low;
      i += 2;
    }
    octets[length++] = octet;
  }
  try {
    return utf8.decode(octets.subarray(0, length));
  } catch {
    return null;
  }
}

function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 37 || code > 126) return false;
  }
  return true;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
