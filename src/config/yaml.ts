import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  type Pair,
  parseDocument,
  visit,
} from "yaml";
import type { Report } from "./diagnostic.ts";
import { placeOf, type SourceFile, type Span } from "./source.ts";
import { type Environment, substitute } from "./substitution.ts";
import type { ConfigNode, MapNode, ScalarNode } from "./tree.ts";

interface Range {
  readonly range?: readonly [number, number, number] | null | undefined;
}

/**
 * Reads one YAML 1.2 file (core schema) into nodes with places, variables filled in. Returns null when the syntax is
 * wrong or the file is empty; everything found goes into the report.
 */
export function parseYaml(source: SourceFile, environment: Environment, report: Report): ConfigNode | null {
  const document = parseDocument(source.text, {
    schema: "core",
    merge: false,
    uniqueKeys: false,
    prettyErrors: false,
    strict: true,
  });
  if (document.errors.length > 0) {
    reportSyntax(source, document, report);
    return null;
  }
  if (document.contents === null) {
    report.error(
      { source, start: 0, end: 0 },
      "cannot use an empty config: expected a map with sockets and services",
    );
    return null;
  }
  return new Converter(source, environment, report).node(document.contents);
}

/** One error a line: what follows on the same line is mostly the parser's confusion about the first. */
function reportSyntax(source: SourceFile, document: Document.Parsed, report: Report): void {
  let line = -1;
  for (const error of document.errors) {
    const start = Math.min(error.pos[0], source.text.length);
    const span = { source, start, end: error.pos[1] };
    const place = placeOf(span);
    if (place === null || place.line === line) continue;
    line = place.line;
    if (error.code === "UNEXPECTED_TOKEN" && source.text.startsWith("${", start - 1)) {
      report.error(
        { source, start: start - 1, end: source.text.indexOf("}", start) + 1 || start + 1 },
        `cannot parse YAML: inside { } or [ ] a "\${NAME}" needs quotes around it`,
      );
    } else if (error.code === "MULTIPLE_DOCS") {
      report.error({ source, start, end: start + 3 }, "cannot parse YAML: a config is one document");
    } else if (/^Missing closing .quote$|must end with a|sufficiently indented and end/.test(error.message)) {
      // The parser stops where the text ends; the mistake is where it was opened.
      const opened = openedBefore(document, start);
      const character = opened === null ? "" : (source.text[opened] ?? "");
      const what = character === "{" || character === "[" ? `"${character}"` : "quote";
      const at = opened === null ? span : { source, start: opened, end: opened + 1 };
      report.error(at, `cannot parse YAML: the ${what} is never closed`);
    } else {
      report.error(span, `cannot parse YAML: ${sentence(error.message)}`);
    }
  }
}

/** Where the innermost quoted text or flow collection begins that reaches to `end`. */
function openedBefore(document: Document.Parsed, end: number): number | null {
  let opened: number | null = null;
  visit(document, {
    Node(_key, node) {
      const quoted = isScalar(node) && (node.type === "QUOTE_DOUBLE" || node.type === "QUOTE_SINGLE");
      const flow = isCollection(node) && node.flow === true;
      const range = node.range;
      if ((quoted || flow) && range && range[0] < end && range[2] >= end) opened = range[0];
    },
  });
  return opened;
}

function sentence(message: string): string {
  const first = message[0] ?? "";
  return (/^[A-Z][a-z]/.test(message) ? first.toLowerCase() + message.slice(1) : message).replace(/\.$/, "");
}

class Converter {
  readonly #source: SourceFile;
  readonly #environment: Environment;
  readonly #report: Report;

  constructor(source: SourceFile, environment: Environment, report: Report) {
    this.#source = source;
    this.#environment = environment;
    this.#report = report;
  }

  node(node: unknown): ConfigNode {
    this.#refuseIndirection(node);
    if (isMap(node)) {
      const map: MapNode = { kind: "map", entries: new Map(), span: this.#span(node) };
      for (const pair of node.items) this.#entry(map, pair);
      return map;
    }
    if (isSeq(node)) {
      return { kind: "list", items: node.items.map((item) => this.node(item)), span: this.#span(node) };
    }
    if (isScalar(node)) return this.#scalar(node.value, this.#span(node));
    return { ...this.#scalar(null, this.#span(node as Range)), broken: isAlias(node) };
  }

  #entry(map: MapNode, pair: Pair): void {
    const keySpan = this.#span(pair.key as Range);
    this.#refuseIndirection(pair.key);
    const node = this.node(pair.value ?? { range: [keySpan.end, keySpan.end, keySpan.end] });
    if (!isScalar(pair.key)) {
      this.#report.error(keySpan, "cannot use this key: a key is a plain text");
      return;
    }
    // YAML reads 200 and true as a number and a boolean; as keys they are the text that was written.
    const key = typeof pair.key.value === "string" ? pair.key.value : (pair.key.source ?? "");
    if (key === "<<") {
      this.#report.error(
        keySpan,
        "cannot use a merge key: write the values out, or move them into an included file",
      );
      return;
    }
    // Plain objects carry the values on, and there this key would set the prototype.
    if (key === "" || key === "__proto__") {
      this.#report.error(keySpan, `cannot use the key ${JSON.stringify(key)}: it is reserved`);
      return;
    }
    const before = map.entries.get(key);
    if (before !== undefined) {
      this.#report.error(keySpan, `cannot define "${key}": the same map defines it already`, [
        { message: "it stands here first", place: placeOf(before.keySpan) },
      ]);
      return;
    }
    map.entries.set(key, { key, keySpan, node });
  }

  #scalar(value: unknown, span: Span): ScalarNode {
    const written = this.#source.text.slice(span.start, span.end);
    const scalar: ScalarNode = {
      kind: "scalar",
      value: typeof value === "number" || typeof value === "boolean" ? value : null,
      span,
      written,
      secret: false,
      whole: false,
      broken: false,
    };
    if (typeof value !== "string") return scalar;
    const { text, filled, whole, problems } = substitute(value, this.#environment);
    for (const problem of problems) {
      const at = written.indexOf(problem.written);
      const start = at === -1 ? span.start : span.start + at;
      const end = at === -1 ? span.end : start + problem.written.length;
      this.#report.error(
        { source: this.#source, start, end },
        `cannot fill in ${JSON.stringify(problem.written)}: ${problem.reason}`,
      );
    }
    return { ...scalar, value: text, written: value, secret: filled, whole, broken: problems.length > 0 };
  }

  /**
   * Anchors, aliases and tags are refused: a config has one obvious reading, no value appears far from where it is
   * written, and a small file cannot unfold into a huge one.
   */
  #refuseIndirection(node: unknown): void {
    if (isAlias(node)) {
      this.#report.error(
        this.#span(node),
        'cannot use an alias: write the value out, or put quotes around a text that begins with "*"',
      );
      return;
    }
    if (!isMap(node) && !isSeq(node) && !isScalar(node)) return;
    const span = this.#span(node);
    if (node.anchor !== undefined)
      this.#report.error(span, "cannot use an anchor: write the value out where it is used");
    if (node.tag !== undefined)
      this.#report.error(span, "cannot use a tag: values have the type that they are written as");
  }

  #span(node: Range): Span {
    const [start, end] = node.range ?? [0, 0];
    return { source: this.#source, start, end };
  }
}
