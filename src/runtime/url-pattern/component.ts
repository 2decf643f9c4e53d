import {
  ArrayPush,
  ObjectDefineProperty,
  RegExpExec,
  RegExpNative,
  StringCharCodeAt,
} from "../web/primordials.ts";
import { quote } from "../web/webidl.ts";
import {
  type Encode,
  escapePattern,
  escapeRegexp,
  firstPoint,
  type Options,
  type Part,
  parsePattern,
  segmentWildcard,
} from "./parts.ts";
import { isNamePoint } from "./tokens.ts";

export interface ComponentResult {
  readonly input: string;
  readonly groups: Record<string, string | undefined>;
}

/** A compiled component of a pattern (URL Pattern §1.3). The regular expression runs here, on the Worker's own time. */
export class Component {
  /** The pattern in its normal form. */
  readonly pattern: string;
  readonly hasRegExpGroups: boolean;
  readonly #regexp: RegExp;
  readonly #names: string[] = [];

  /** @throws TypeError when `input` is not a pattern. */
  constructor(input: string, encode: Encode, options: Options) {
    const parts = parsePattern(input, options, encode);
    let hasGroups = false;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i] as Part;
      if (part.type === "regexp") hasGroups = true;
      if (part.type !== "fixed-text") ArrayPush(this.#names, part.name);
    }
    this.hasRegExpGroups = hasGroups;
    this.pattern = patternString(parts, options);
    try {
      this.#regexp = new RegExpNative(regexpSource(parts, options), options.ignoreCase ? "vi" : "v");
    } catch {
      throw new TypeError(`cannot parse pattern ${quote(input)}: a regular expression in it is not valid`);
    }
  }

  matches(input: string): boolean {
    return RegExpExec(this.#regexp, input) !== null;
  }

  /** Null when it does not match. */
  exec(input: string): ComponentResult | null {
    const match = RegExpExec(this.#regexp, input);
    if (match === null) return null;
    const groups: Record<string, string | undefined> = {};
    for (let i = 0; i < this.#names.length; i++) {
      ObjectDefineProperty(
        groups,
        this.#names[i] as string,
        {
          __proto__: null,
          value: match[i + 1],
          writable: true,
          enumerable: true,
          configurable: true,
        } as PropertyDescriptor,
      );
    }
    return { input, groups };
  }
}

/** URL Pattern §2.1.6, "generate a regular expression and name list". */
function regexpSource(parts: readonly Part[], options: Options): string {
  let source = "^";
  for (let i = 0; i < parts.length; i++) {
    const { type, value, modifier, prefix, suffix } = parts[i] as Part;
    if (type === "fixed-text") {
      source += modifier === "" ? escapeRegexp(value) : `(?:${escapeRegexp(value)})${modifier}`;
      continue;
    }
    let inner = value;
    if (type === "segment-wildcard") inner = segmentWildcard(options);
    else if (type === "full-wildcard") inner = ".*";
    const once = modifier === "" || modifier === "?";
    if (prefix === "" && suffix === "") {
      source += once ? `(${inner})${modifier}` : `((?:${inner})${modifier})`;
      continue;
    }
    const before = escapeRegexp(prefix);
    const after = escapeRegexp(suffix);
    if (once) source += `(?:${before}(${inner})${after})${modifier}`;
    else {
      source += `(?:${before}((?:${inner})(?:${after}${before}(?:${inner}))*)${after})`;
      if (modifier === "*") source += "?";
    }
  }
  return `${source}$`;
}

function isDigit(text: string): boolean {
  const code = StringCharCodeAt(text, 0);
  return code >= 48 && code <= 57;
}

/** URL Pattern §2.1.5, "generate a pattern string". */
function patternString(parts: readonly Part[], options: Options): string {
  let result = "";
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as Part;
    if (part.type === "fixed-text") {
      const text = escapePattern(part.value);
      result += part.modifier === "" ? text : `{${text}}${part.modifier}`;
      continue;
    }
    const previous = i > 0 ? (parts[i - 1] as Part) : null;
    const next = i + 1 < parts.length ? (parts[i + 1] as Part) : null;
    const grouped = needsGrouping(part, previous, next, options);
    const text = matcherString(part, previous, grouped, options) + escapePattern(part.suffix);
    const whole = escapePattern(part.prefix) + text;
    result += (grouped ? `{${whole}}` : whole) + part.modifier;
  }
  return result;
}

function needsGrouping(part: Part, previous: Part | null, next: Part | null, options: Options): boolean {
  if (part.suffix !== "" || (part.prefix !== "" && part.prefix !== options.prefix)) return true;
  if (
    !isDigit(part.name) &&
    part.type === "segment-wildcard" &&
    part.modifier === "" &&
    next !== null &&
    next.prefix === "" &&
    next.suffix === ""
  ) {
    // What follows would be read as more of the name.
    if (next.type === "fixed-text" ? isNamePoint(firstPoint(next.value), false) : isDigit(next.name))
      return true;
  }
  // The text before would be read as the prefix.
  return (
    part.prefix === "" &&
    previous !== null &&
    previous.type === "fixed-text" &&
    options.prefix !== "" &&
    previous.value[previous.value.length - 1] === options.prefix
  );
}

function matcherString(part: Part, previous: Part | null, grouped: boolean, options: Options): string {
  const { type, name } = part;
  const named = !isDigit(name);
  let text = named ? `:${name}` : "";
  if (type === "regexp") {
    text += `(${part.value})`;
  } else if (type === "segment-wildcard") {
    if (!named) text += `(${segmentWildcard(options)})`;
    else if (part.suffix !== "" && isNamePoint(firstPoint(part.suffix), false)) text += "\\";
  } else {
    const alone =
      previous === null ||
      previous.type === "fixed-text" ||
      previous.modifier !== "" ||
      grouped ||
      part.prefix !== "";
    text += !named && alone ? "*" : "(.*)";
  }
  return text;
}
