import type { JsonValue } from "../services/service.ts";
import type { Span } from "./source.ts";

/** Part of the config as written, each with its place, so that every check can point at what it is about. */
export type ConfigNode = ScalarNode | ListNode | MapNode;

export interface ScalarNode {
  readonly kind: "scalar";
  value: string | number | boolean | null;
  /** Null when the value came from a flag. */
  readonly span: Span | null;
  /** What may be shown of the value: the text in the file with variables not filled in, or the flag. */
  readonly written: string;
  /** Holds text from the environment, which never stands in a diagnostic. */
  readonly secret: boolean;
  /** Written as one `${NAME}`: where the schema wants a number or a boolean, the text is read as one. */
  readonly whole: boolean;
  /** Something about this value was reported already; checks pass over it. */
  broken: boolean;
}

export interface ListNode {
  readonly kind: "list";
  readonly items: ConfigNode[];
  readonly span: Span | null;
}

export interface MapNode {
  readonly kind: "map";
  readonly entries: Map<string, Entry>;
  span: Span | null;
}

export interface Entry {
  readonly key: string;
  readonly keySpan: Span | null;
  node: ConfigNode;
}

export type Path = readonly (string | number)[];

/** A scalar that stands in no file: an override, or a value that a check worked out. */
export function madeScalar(value: string | number | boolean, written: string): ScalarNode {
  return { kind: "scalar", value, span: null, written, secret: false, whole: false, broken: false };
}

/** The value of an entry, or null when the node is no map or has no such key. */
export function child(node: ConfigNode | null | undefined, key: string): ConfigNode | null {
  return node?.kind === "map" ? (node.entries.get(key)?.node ?? null) : null;
}

/** The entries of a map; of anything else, none: the schema reports that. */
export function entries(node: ConfigNode | null | undefined): Iterable<Entry> {
  return node?.kind === "map" ? node.entries.values() : [];
}

export function items(node: ConfigNode | null | undefined): readonly ConfigNode[] {
  return node?.kind === "list" ? node.items : [];
}

/** The scalar behind a key when it holds text that checks may look at; null otherwise. */
export function textAt(node: ConfigNode | null | undefined, key: string): TextNode | null {
  return asText(child(node, key));
}

export interface TextNode extends ScalarNode {
  value: string;
}

export function asText(node: ConfigNode | null | undefined): TextNode | null {
  return node?.kind === "scalar" && typeof node.value === "string" && !node.broken
    ? (node as TextNode)
    : null;
}

/** How a text may be shown in a message. */
export function shown(node: ScalarNode): string {
  return node.secret ? JSON.stringify(node.written) : JSON.stringify(node.value);
}

/** Ends a message about a value that came from a flag, which has no place to point at. */
export function flagOf(node: ScalarNode): string {
  return node.span === null ? ` (${node.written})` : "";
}

/** Puts a value into a map, over what was there. */
export function put(map: MapNode, key: string, node: ConfigNode): void {
  const entry = map.entries.get(key);
  if (entry === undefined) map.entries.set(key, { key, keySpan: null, node });
  else entry.node = node;
}

/** The node at a path and the key that leads to it; as deep as the path goes. */
export function locate(
  root: ConfigNode,
  path: Path,
): { node: ConfigNode; keySpan: Span | null; depth: number } {
  let node = root;
  let keySpan: Span | null = null;
  let depth = 0;
  for (const step of path) {
    if (node.kind === "map") {
      const entry = node.entries.get(String(step));
      if (entry === undefined) break;
      node = entry.node;
      keySpan = entry.keySpan;
    } else if (node.kind === "list") {
      const item = node.items[Number(step)];
      if (item === undefined) break;
      node = item;
      keySpan = null;
    } else break;
    depth++;
  }
  return { node, keySpan, depth };
}

/** The plain value, for the schema. */
export function plain(node: ConfigNode): JsonValue {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "list":
      return node.items.map(plain);
    case "map": {
      const object: { [key: string]: JsonValue } = {};
      for (const entry of node.entries.values()) object[entry.key] = plain(entry.node);
      return object;
    }
  }
}

/** `services.app.external`, as people write a path. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[\w-]+$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}
