import { pathForms } from "../../http/path.ts";

/**
 * The path of a rule. A final slash and star stand for everything below, and for the place itself: `/v1/*` matches
 * `/v1`, `/v1/` and `/v1/users/7`, so that a rule that guards a directory guards its name too. A `*` elsewhere stands
 * for any characters of one segment, none included, as in `/v*` or `/img-*.png`. Everything else is compared octet by
 * octet, and case counts.
 */
export class PathPattern {
  /** The pattern's octets as characters; of a prefix, what is before the final slash and star. */
  readonly #text: string;
  readonly #prefix: boolean;
  /** The segments when there is a star within them, else null. */
  readonly #segments: readonly string[] | null;

  /** @throws Error `cannot read path pattern "…": reason` */
  constructor(text: string) {
    this.#prefix = text.endsWith("/*");
    const octets = toOctets(this.#prefix ? text.slice(0, -2) : text);
    const forms = octets === "" ? [""] : pathForms(octets, false);
    // Only canonical paths are compared with it, so another pattern could never match.
    const canonical = forms?.[0];
    if (canonical === undefined || (forms?.[1] ?? canonical) !== canonical || /[?\\]/.test(canonical)) {
      throw new Error(
        `cannot read path pattern ${JSON.stringify(text)}: expected a path alone, without empty or dot segments`,
      );
    }
    this.#text = canonical;
    this.#segments = canonical.includes("*") ? canonical.split("/") : null;
  }

  /** It names a path parameter, so the service behind does not drop them. */
  get hasParameters(): boolean {
    return this.#text.includes(";");
  }

  matches(path: string): boolean {
    if (this.#segments !== null) return this.#matchesSegments(path, this.#segments);
    const text = this.#text;
    if (!this.#prefix) return path === text;
    return path.startsWith(text) && (path.length === text.length || path.charCodeAt(text.length) === 47);
  }

  #matchesSegments(path: string, segments: readonly string[]): boolean {
    let at = 0;
    for (let i = 0; i < segments.length; i++) {
      if (at > path.length) return false;
      let end = path.indexOf("/", at);
      if (end === -1) end = path.length;
      if (!matchesGlob(path, at, end, segments[i] ?? "")) return false;
      at = end + 1;
    }
    // `at` stands behind the slash that ends the last segment, or behind the end of the path.
    return at > path.length || this.#prefix;
  }
}

/**
 * Compares the characters from `at` to `end` with a pattern of literal characters and stars. It goes back to the last
 * star only, so that its time is bounded by the product of the two lengths.
 */
function matchesGlob(text: string, at: number, end: number, pattern: string): boolean {
  let position = at;
  let next = 0;
  let star = -1;
  let mark = at;
  while (position < end) {
    if (next < pattern.length && pattern.charCodeAt(next) === 42) {
      star = next++;
      mark = position;
    } else if (next < pattern.length && pattern.charCodeAt(next) === text.charCodeAt(position)) {
      next++;
      position++;
    } else if (star !== -1) {
      next = star + 1;
      position = ++mark;
    } else {
      return false;
    }
  }
  while (next < pattern.length && pattern.charCodeAt(next) === 42) next++;
  return next === pattern.length;
}

/** A request's octets are the characters of its target; a config is UTF-8. */
function toOctets(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
