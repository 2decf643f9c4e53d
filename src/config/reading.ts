import { isUtf8 } from "node:buffer";
import { dirname, resolve } from "node:path";
import type { Note, Report } from "./diagnostic.ts";
import { type ConfigHost, fileReason } from "./host.ts";
import { placeOf, SourceFile, type Span } from "./source.ts";
import type { Environment } from "./substitution.ts";
import { asText, type ConfigNode, type Entry, type MapNode, shown } from "./tree.ts";
import { parseYaml } from "./yaml.ts";

/** The sections whose names come together from all files; every other key may stand in one file only. */
const sections: ReadonlySet<string> = new Set(["sockets", "services"]);

/** A config and what it includes, merged into one tree. */
export interface Reading {
  readonly root: MapNode;
  /** Absolute paths, in the order of reading. */
  readonly files: readonly string[];
  /** Some part could not be read, so that a name which is not found may well be defined. */
  readonly incomplete: boolean;
}

/** Reads `path` and everything it includes; what is wrong goes into the report. */
export function readConfig(
  path: string,
  environment: Environment,
  host: ConfigHost,
  report: Report,
): Reading {
  const reader = new Reader(environment, host, report);
  reader.read(resolve(path), null, []);
  return reader;
}

class Reader implements Reading {
  readonly root: MapNode;
  readonly files: string[] = [];
  incomplete = false;
  readonly #environment: Environment;
  readonly #host: ConfigHost;
  readonly #report: Report;

  constructor(environment: Environment, host: ConfigHost, report: Report) {
    this.root = { kind: "map", entries: new Map(), span: null };
    this.#environment = environment;
    this.#host = host;
    this.#report = report;
  }

  /** @param includer the `include` entry that names the file. @param trail the files that led here. */
  read(path: string, includer: { span: Span | null; shown: string } | null, trail: readonly string[]): void {
    if (trail.includes(path)) {
      this.#report.error(
        includer?.span ?? null,
        `cannot include ${includer?.shown}: the file includes itself`,
      );
      return;
    }
    // Two files may share a third: it is read once.
    if (this.files.includes(path)) return;
    const node = this.#load(path, includer);
    if (node === null) {
      this.incomplete = true;
      return;
    }
    if (node.kind !== "map") {
      this.incomplete = true;
      this.#report.error(node.span, "cannot use this config: expected a map with sockets and services");
      return;
    }
    this.root.span ??= node.span === null ? null : { source: node.span.source, start: 0, end: 0 };
    for (const entry of node.entries.values()) {
      if (entry.key !== "include") this.#merge(entry);
    }
    const include = node.entries.get("include");
    if (include !== undefined) this.#include(include, path, trail);
  }

  #load(path: string, includer: { span: Span | null; shown: string } | null): ConfigNode | null {
    this.files.push(path);
    let bytes: Uint8Array;
    try {
      bytes = this.#host.read(path);
    } catch (error) {
      const what = includer === null ? `read config "${path}"` : `include ${includer.shown}`;
      this.#report.error(includer?.span ?? null, `cannot ${what}: ${fileReason(error)}`);
      return null;
    }
    if (!isUtf8(bytes)) {
      const span = includer?.span ?? null;
      this.#report.error(span, `cannot read config "${includer?.shown ?? path}": it is not UTF-8`);
      return null;
    }
    const source = new SourceFile(path, new TextDecoder().decode(bytes));
    return parseYaml(source, this.#environment, this.#report);
  }

  #include(include: Entry, path: string, trail: readonly string[]): void {
    if (include.node.kind !== "list") {
      this.#report.error(
        include.keySpan,
        "cannot read include: expected a list of files, as in [other.yaml]",
      );
      return;
    }
    for (const item of include.node.items) {
      const text = asText(item);
      if (text === null || text.value === "") {
        this.incomplete = true;
        if (item.kind !== "scalar" || !item.broken) {
          this.#report.error(item.span, "cannot read include: expected the path of a file");
        }
        continue;
      }
      const file = resolve(dirname(path), text.value);
      this.read(file, { span: text.span, shown: shown(text) }, [...trail, path]);
    }
  }

  #merge(entry: Entry): void {
    const before = this.root.entries.get(entry.key);
    if (before === undefined) {
      // A section grows by the names of other files, so it is a map of its own.
      const node: ConfigNode =
        sections.has(entry.key) && entry.node.kind === "map"
          ? { ...entry.node, entries: new Map(entry.node.entries) }
          : entry.node;
      this.root.entries.set(entry.key, { key: entry.key, keySpan: entry.keySpan, node });
      return;
    }
    if (!sections.has(entry.key)) {
      this.#report.error(entry.keySpan, `cannot define "${entry.key}": another file defines it already`, [
        firstAt(before),
      ]);
      return;
    }
    if (entry.node.kind !== "map" || before.node.kind !== "map") {
      // The schema reports the first one.
      if (entry.node.kind !== "map")
        this.#report.error(entry.keySpan, `cannot read ${entry.key}: expected a map`);
      return;
    }
    for (const named of entry.node.entries.values()) {
      const first = before.node.entries.get(named.key);
      if (first === undefined) before.node.entries.set(named.key, named);
      else {
        const what = entry.key === "sockets" ? "socket" : "service";
        this.#report.error(named.keySpan, `cannot define ${what} "${named.key}": the name is taken`, [
          firstAt(first),
        ]);
      }
    }
  }
}

function firstAt(entry: Entry): Note {
  return { message: "it stands here first", place: placeOf(entry.keySpan) };
}
