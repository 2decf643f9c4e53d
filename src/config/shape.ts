import { stringify } from "yaml";
import type { z } from "zod";
import type { Report } from "./diagnostic.ts";
import { type ProxyConfig, proxy } from "./schema/proxy.ts";
import { exampleAt, keysAt } from "./schema/walk.ts";
import type { Span } from "./source.ts";
import { nearest } from "./suggestion.ts";
import {
  type ConfigNode,
  formatPath,
  locate,
  type MapNode,
  type Path,
  plain,
  type ScalarNode,
} from "./tree.ts";

type Issue = z.core.$ZodIssue;

/**
 * Validates the tree against the schema. Null when something is wrong, which then stands in the report. A text that is
 * wholly one `${NAME}` is read as a number or a boolean where the schema wants one.
 *
 * @param incomplete part of the config could not be read, so that a section which is missing may well be there.
 */
export function validate(root: MapNode, incomplete: boolean, report: Report): ProxyConfig | null {
  const result = check(proxy, root);
  if (result.success) return result.data;
  const translator = new Translator(root, incomplete, report);
  translator.translateAll(result.error.issues, []);
  return null;
}

/** Validates one part of the tree against its own schema, and reports nothing. */
export function check<S extends z.ZodType>(schema: S, node: ConfigNode): z.ZodSafeParseResult<z.output<S>> {
  const result = schema.safeParse(plain(node));
  return !result.success && retype(node, result.error.issues) ? schema.safeParse(plain(node)) : result;
}

/** Gives texts from whole variables the type that the schema asked for. True when there was one. */
function retype(node: ConfigNode, issues: readonly Issue[]): boolean {
  let changed = false;
  for (const issue of issues) {
    const path = steps(issue);
    const found = locate(node, path);
    const scalar = found.node;
    if (
      found.depth === path.length &&
      scalar.kind === "scalar" &&
      scalar.whole &&
      typeof scalar.value === "string"
    ) {
      const typed = readTyped(scalar.value);
      if (typed !== null) {
        scalar.value = typed;
        changed = true;
      }
    }
    if (issue.code === "invalid_union") {
      for (const branch of issue.errors) {
        const child = locate(node, path).node;
        if (retype(child, branch)) changed = true;
      }
    }
  }
  return changed;
}

function readTyped(text: string): number | boolean | null {
  if (text === "true") return true;
  if (text === "false") return false;
  return /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : null;
}

function steps(issue: Issue): Path {
  return issue.path.map((step) => (typeof step === "symbol" ? String(step) : step));
}

const expectations: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a map",
  record: "a map",
  array: "a list",
  null: "null",
};

class Translator {
  readonly #root: MapNode;
  readonly #incomplete: boolean;
  readonly #report: Report;
  /** Paths that an unknown key was most likely meant for. */
  readonly #meant: Set<string> = new Set();

  constructor(root: MapNode, incomplete: boolean, report: Report) {
    this.#root = root;
    this.#incomplete = incomplete;
    this.#report = report;
  }

  translateAll(issues: readonly Issue[], base: Path): void {
    // What is missing was often only misspelt: unknown keys are looked at first.
    for (const issue of issues) {
      if (issue.code === "unrecognized_keys") this.#translate(issue, [...base, ...steps(issue)]);
    }
    for (const issue of issues) {
      if (issue.code !== "unrecognized_keys") this.#translate(issue, [...base, ...steps(issue)]);
    }
  }

  #translate(issue: Issue, path: Path): void {
    const { node, keySpan, depth } = locate(this.#root, path);
    if (node.kind === "scalar" && node.broken) return;
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) this.#unknownKey(key, node, path);
      return;
    }
    if (depth < path.length) {
      this.#missing(path, node, keySpan, depth);
      return;
    }
    if (issue.code === "invalid_key") {
      const reason = issue.issues[0]?.message ?? "expected another name";
      this.#report.error(keySpan, `cannot use the name ${JSON.stringify(path.at(-1))}: ${reason}`);
      return;
    }
    if (issue.code === "invalid_union" && !issue.message.startsWith("expected")) {
      this.#union(issue, path, node, keySpan);
      return;
    }
    if (issue.code === "custom" && issue.params?.reportedByKinds === true) return;
    this.#wrong(path, node, keySpan, this.#reason(issue, node));
  }

  #wrong(path: Path, node: ConfigNode, keySpan: Span | null, reason: string): void {
    const flag = node.kind === "scalar" && node.span === null ? node.written : null;
    this.#report.error(
      pointAt(node, keySpan),
      `cannot ${flag === null ? `read ${formatPath(path)}` : `apply ${flag}`}: ${reason}`,
    );
  }

  #reason(issue: Issue, node: ConfigNode): string {
    if (issue.message.startsWith("expected")) return issue.message;
    switch (issue.code) {
      case "invalid_type": {
        const expected = expectations[issue.expected] ?? `a value of type ${issue.expected}`;
        const found = issue.expected === "int" && node.kind === "scalar" ? node.written : describe(node);
        return `expected ${expected}, not ${found}${quoteHint(issue.expected, node)}`;
      }
      case "invalid_value": {
        const values = issue.values.map((value) => JSON.stringify(value));
        const written = node.kind === "scalar" && !node.secret ? String(node.value) : "";
        const near = nearest(written, issue.values.map(String));
        return `expected ${list(values)}${near === null ? "" : `; did you mean "${near}"?`}`;
      }
      case "too_small":
        return `expected ${sizeOf(issue.origin)}${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`;
      case "too_big":
        return `expected ${sizeOf(issue.origin)}at most ${issue.maximum}`;
      default:
        return "expected another value";
    }
  }

  #unknownKey(key: string, node: ConfigNode, path: Path): void {
    const entry = node.kind === "map" ? node.entries.get(key) : undefined;
    const known = keysAt(proxy, path);
    const where = path.length === 0 ? "the config" : formatPath(path);
    const near = nearest(key, known) ?? this.#below(key, known, path);
    if (near !== null) this.#meant.add(formatPath([...path, near]));
    const hint =
      near === null
        ? known.length === 0
          ? "it takes none"
          : `expected ${list(known)}`
        : `did you mean "${near}"?`;
    this.#report.error(entry?.keySpan ?? null, `cannot use key "${key}" in ${where}: ${hint}`);
  }

  /** A key that belongs one level further down, as `timeouts` below `http`. */
  #below(key: string, known: readonly string[], path: Path): string | null {
    const at = known.find((step) => keysAt(proxy, [...path, step]).includes(key));
    return at === undefined ? null : `${at}.${key}`;
  }

  #missing(path: Path, parent: ConfigNode, keySpan: Span | null, depth: number): void {
    const key = String(path[depth]);
    if ((this.#incomplete && depth === 0) || this.#meant.has(formatPath(path.slice(0, depth + 1)))) return;
    const where = depth === 0 ? "the config" : formatPath(path.slice(0, depth));
    const example = exampleAt(proxy, path.slice(0, depth + 1));
    const hint = example === undefined ? "" : `, as in ${key}: ${formatExample(example)}`;
    this.#report.error(pointAt(parent, keySpan), `cannot read ${where}: "${key}" is missing${hint}`);
  }

  /** Reports the branch of a union that was meant: the one that takes a value of this type. */
  #union(issue: Issue & { code: "invalid_union" }, path: Path, node: ConfigNode, keySpan: Span | null): void {
    const meant = issue.errors.find((branch) => !branch.some((inner) => isTypeOfWhole(inner)));
    if (meant !== undefined) {
      this.translateAll(meant, path);
      return;
    }
    const expected = issue.errors.flatMap((branch) =>
      branch.flatMap((inner) =>
        inner.code === "invalid_type" && inner.path.length === 0
          ? [expectations[inner.expected] ?? inner.expected]
          : [],
      ),
    );
    this.#wrong(path, node, keySpan, `expected ${list([...new Set(expected)])}, not ${describe(node)}`);
  }
}

function isTypeOfWhole(issue: Issue): boolean {
  return issue.code === "invalid_type" && issue.path.length === 0;
}

/** A map is long: its key says better where it is. A scalar is pointed at itself, unless there is nothing to see. */
function pointAt(node: ConfigNode, keySpan: Span | null): Span | null {
  const span = node.span;
  if (node.kind === "scalar" && (span === null || span.end > span.start)) return span;
  return keySpan ?? span;
}

function describe(node: ConfigNode): string {
  if (node.kind === "map") return "a map";
  if (node.kind === "list") return "a list";
  if (node.value === null) return "nothing";
  if (node.secret) return "what the variable holds";
  return typeof node.value === "string"
    ? "a text"
    : typeof node.value === "number"
      ? "a number"
      : `${node.value}`;
}

function quoteHint(expected: string, node: ConfigNode): string {
  if (expected !== "string" || node.kind !== "scalar" || isEmpty(node)) return "";
  return `; in quotes it is one: ${JSON.stringify(node.written)}`;
}

function isEmpty(node: ScalarNode): boolean {
  return node.value === null && node.written.trim() === "";
}

function sizeOf(origin: string): string {
  return origin === "string" ? "a text of " : origin === "array" ? "a list of " : "a number of ";
}

function list(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

/** One line of YAML, with quotes where they are needed. */
function formatExample(example: unknown): string {
  return stringify(example, { collectionStyle: "flow", lineWidth: 0 }).trim();
}
