import { validateObject, validateString } from "./errors.ts";

interface ParsedPath {
  root?: string;
  dir?: string;
  base?: string;
  ext?: string;
  name?: string;
}

/** What tells POSIX paths from those of Windows. */
interface Flavour {
  readonly sep: "/" | "\\";
  readonly delimiter: ":" | ";";
  isSeparator(character: string | undefined): boolean;
  /** The drive or share at the beginning, and the root behind it. */
  root(path: string): { readonly device: string; readonly absolute: boolean; readonly length: number };
}

const posixFlavour: Flavour = {
  sep: "/",
  delimiter: ":",
  isSeparator: (character) => character === "/",
  root: (path) => {
    const absolute = path.startsWith("/");
    return { device: "", absolute, length: absolute ? 1 : 0 };
  },
};

const windowsFlavour: Flavour = {
  sep: "\\",
  delimiter: ";",
  isSeparator: (character) => character === "/" || character === "\\",
  root: (path) => {
    const share = /^[\\/]{2}([^\\/]+)[\\/]+([^\\/]+)([\\/]*)/.exec(path);
    if (share !== null) {
      const device =
        share[1] === "." || share[1] === "?"
          ? `\\\\${share[1]}\\${share[2]}`
          : `\\\\${share[1]}\\${share[2]}`;
      return { device, absolute: true, length: share[0].length };
    }
    const drive = /^[A-Za-z]:/.exec(path);
    if (drive !== null) {
      const absolute = /^[\\/]/.test(path.slice(2));
      return { device: drive[0], absolute, length: absolute ? 3 : 2 };
    }
    const absolute = /^[\\/]/.test(path);
    return { device: "", absolute, length: absolute ? 1 : 0 };
  },
};

/** `.` and `..` taken out of the segments behind a root. */
function tidy(path: string, absolute: boolean, flavour: Flavour): string {
  const kept: string[] = [];
  let segment = "";
  for (let i = 0; i <= path.length; i++) {
    if (i < path.length && !flavour.isSeparator(path[i])) {
      segment += path[i];
      continue;
    }
    if (segment === "..") {
      if (kept.length > 0 && kept[kept.length - 1] !== "..") kept.pop();
      else if (!absolute) kept.push("..");
    } else if (segment !== "" && segment !== ".") kept.push(segment);
    segment = "";
  }
  return kept.join(flavour.sep);
}

function makePath(flavour: Flavour) {
  const { sep } = flavour;
  const isWindows = sep === "\\";

  function normalize(path: string): string {
    validateString(path, "path");
    if (path === "") return ".";
    const { device, absolute, length } = flavour.root(path);
    const rest = path.slice(length);
    let tail = tidy(rest, absolute, flavour);
    if (tail === "" && !absolute) tail = ".";
    if (tail !== "" && flavour.isSeparator(path[path.length - 1]) && rest !== "") tail += sep;
    if (device === "") {
      const text = absolute ? sep + tail : tail;
      // A colon in a first segment would make it a drive.
      return isWindows && !absolute && /^[A-Za-z]:/.test(text) ? `.${sep}${text}` : text;
    }
    return device + (absolute ? sep : "") + tail;
  }

  function isAbsolute(path: string): boolean {
    validateString(path, "path");
    const { absolute } = flavour.root(path);
    return absolute;
  }

  function join(...paths: string[]): string {
    let joined: string | undefined;
    for (const path of paths) {
      validateString(path, "path");
      if (path === "") continue;
      joined = joined === undefined ? path : `${joined}${sep}${path}`;
    }
    if (joined === undefined) return ".";
    // Two separators at the very beginning would make it a share, which only a first argument may name.
    if (isWindows && /^[\\/]{2}/.test(joined)) {
      const first = paths.find((path) => path !== "") ?? "";
      if (!/^[\\/]{2}[^\\/]/.test(first)) joined = joined.replace(/^[\\/]{2,}/, sep);
    }
    return normalize(joined);
  }

  function resolve(...paths: string[]): string {
    let device = "";
    let tail = "";
    let absolute = false;
    for (let i = paths.length - 1; i >= -1; i--) {
      const path = i >= 0 ? (paths[i] as string) : isWindows ? `${device}\\` : "/";
      validateString(path, `paths[${i}]`);
      if (path === "") continue;
      const root = flavour.root(path);
      if (root.device !== "") {
        if (device === "") device = root.device;
        else if (device.toLowerCase() !== root.device.toLowerCase()) continue;
      }
      if (!absolute) {
        tail = `${path.slice(root.length)}${sep}${tail}`;
        absolute = root.absolute;
      }
      if (absolute && (device !== "" || !isWindows || i < 0)) break;
    }
    const tidied = tidy(tail, absolute, flavour);
    return device + (absolute ? sep : "") + tidied || ".";
  }

  function relative(from: string, to: string): string {
    validateString(from, "from");
    validateString(to, "to");
    if (from === to) return "";
    const [start, end] = [resolve(from), resolve(to)];
    const fold = (path: string): string => (isWindows ? path.toLowerCase() : path);
    if (fold(start) === fold(end)) return "";
    const split = (path: string): string[] => path.split(sep).filter((piece) => piece !== "");
    const [one, other] = [split(start), split(end)];
    if (isWindows && fold(one[0] ?? "") !== fold(other[0] ?? "")) return end;
    let shared = 0;
    while (
      shared < one.length &&
      shared < other.length &&
      fold(one[shared] ?? "") === fold(other[shared] ?? "")
    )
      shared++;
    return [...one.slice(shared).map(() => ".."), ...other.slice(shared)].join(sep);
  }

  function dirname(path: string): string {
    validateString(path, "path");
    if (path === "") return ".";
    const { device, absolute, length } = flavour.root(path);
    const root = path.slice(0, length);
    let end = path.length;
    while (end > length && flavour.isSeparator(path[end - 1])) end--;
    while (end > length && !flavour.isSeparator(path[end - 1])) end--;
    // Only the one separator before the last segment goes: `a//b` lies in `a/`.
    if (end > length + 1 || (end > length && !absolute)) return path.slice(0, end - 1) || root;
    if (absolute) return !isWindows && end === 2 ? "//" : root;
    return device === "" ? "." : root;
  }

  function basename(path: string, suffix?: string): string {
    if (suffix !== undefined) validateString(suffix, "suffix");
    validateString(path, "path");
    let start = isWindows && /^[A-Za-z]:/.test(path) ? 2 : 0;
    let end = path.length;
    while (end > start && flavour.isSeparator(path[end - 1])) end--;
    for (let i = start; i < end; i++) if (flavour.isSeparator(path[i])) start = i + 1;
    const base = path.slice(start, end);
    return suffix !== undefined && suffix !== "" && base !== suffix && base.endsWith(suffix)
      ? base.slice(0, -suffix.length)
      : base;
  }

  function extname(path: string): string {
    validateString(path, "path");
    const base = basename(path);
    const dot = base.lastIndexOf(".");
    return dot <= 0 || base === ".." ? "" : base.slice(dot);
  }

  function format(parsed: ParsedPath): string {
    validateObject(parsed, "pathObject");
    const dir = parsed.dir || parsed.root;
    const ext = parsed.ext ?? "";
    const base = parsed.base || `${parsed.name || ""}${ext !== "" && ext[0] !== "." ? "." : ""}${ext}`;
    if (!dir) return base;
    return dir === parsed.root ? `${dir}${base}` : `${dir}${sep}${base}`;
  }

  function parse(path: string): Required<ParsedPath> {
    validateString(path, "path");
    const { length } = flavour.root(path);
    const root = path.slice(0, length);
    const base = path.length === length ? "" : basename(path.slice(length));
    const ext = extname(base);
    let dir = base === "" ? root : dirname(path);
    if (dir === "." && (base === "." || !flavour.isSeparator(path[1]))) dir = "";
    return { root, dir, base, ext, name: base.slice(0, base.length - ext.length) };
  }

  function matchesGlob(path: string, pattern: string): boolean {
    validateString(path, "path");
    validateString(pattern, "pattern");
    const slashed = isWindows ? pattern.replaceAll("\\", "/") : pattern;
    const source = slashed.replace(/\*\*\/?|\*|\?|\[[^\]]+\]|[.+^${}()|[\]\\]/g, (piece) => {
      if (piece === "**/") return "(?:.*/)?";
      if (piece === "**") return ".*";
      if (piece === "*") return "[^/]*";
      if (piece.length > 2) return piece.replace(/^\[!/, "[^");
      return piece === "?" ? "[^/]" : `\\${piece}`;
    });
    return new RegExp(`^${source}$`).test(isWindows ? path.replaceAll("\\", "/") : path);
  }

  return {
    basename,
    delimiter: flavour.delimiter,
    dirname,
    extname,
    format,
    isAbsolute,
    join,
    matchesGlob,
    normalize,
    parse,
    relative,
    resolve,
    sep,
    toNamespacedPath: (path: unknown): unknown => path,
    _makeLong: (path: unknown): unknown => path,
  };
}

type Path = ReturnType<typeof makePath> & { posix: Path; win32: Path };

export const posix: Path = makePath(posixFlavour) as Path;
export const win32: Path = makePath(windowsFlavour) as Path;
for (const flavour of [posix, win32]) {
  flavour.posix = posix;
  flavour.win32 = win32;
}
