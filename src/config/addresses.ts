import { dirname, resolve } from "node:path";
import { type Address, formatAddress, parseAddress } from "../net/address.ts";
import type { Note, Report } from "./diagnostic.ts";
import type { NamedService } from "./kinds.ts";
import { placeOf, type Span } from "./source.ts";
import {
  asText,
  type ConfigNode,
  child,
  entries,
  flagOf,
  items,
  type MapNode,
  shown,
  type TextNode,
  textAt,
} from "./tree.ts";

/** Checks every address and makes the paths of unix sockets absolute, in the tree. */
export function checkAddresses(root: MapNode, services: readonly NamedService[], report: Report): void {
  const listening = new Map<string, { what: string; span: Span | null }>();

  const listens = (node: TextNode | null, what: string) => {
    const address = node === null ? null : read(node, report);
    if (node === null || address === null) return;
    // The system picks another port each time.
    if (address.kind === "tcp" && address.port === 0) return;
    const key = formatAddress(address);
    const before = listening.get(key);
    if (before === undefined) {
      listening.set(key, { what, span: node.span });
      return;
    }
    const notes: Note[] =
      before.span === null ? [] : [{ message: "the address stands here first", place: placeOf(before.span) }];
    report.error(
      node.span,
      `cannot let ${what} listen on ${shown(node)}: ${before.what} listens there already${flagOf(node)}`,
      notes,
    );
  };

  for (const socket of entries(child(root, "sockets"))) {
    listens(textAt(socket.node, "address"), `socket "${socket.key}"`);
  }
  listens(textAt(child(root, "admin"), "address"), "the admin endpoint");

  for (const { kind, body } of services) {
    if (kind !== "external") continue;
    for (const node of destinationsOf(body.node)) {
      const address = read(node, report);
      if (address !== null) checkDestination(node, address, report);
    }
  }
}

/** The addresses of an external, however they are written. */
export function* destinationsOf(external: ConfigNode): Iterable<TextNode> {
  const alone = textAt(external, "address");
  if (alone !== null) yield alone;
  for (const item of items(child(external, "addresses"))) {
    const address = asText(item) ?? textAt(item, "address");
    if (address !== null) yield address;
  }
}

function checkDestination(node: TextNode, address: Address, report: Report): void {
  const reason =
    address.kind === "fd" || address.kind === "systemd"
      ? "a server has an address, not a descriptor"
      : address.kind === "tcp" && address.host === ""
        ? "a server has a host"
        : address.kind === "tcp" && address.port === 0
          ? "a server has a port other than 0"
          : null;
  if (reason !== null) report.error(node.span, `cannot connect to ${shown(node)}: ${reason}${flagOf(node)}`);
}

/** The address of a node, with a unix path made absolute; null when it is wrong, which is reported. */
function read(node: TextNode, report: Report): Address | null {
  // The schema reports it.
  if (node.value === "") return null;
  try {
    const address = parseAddress(node.value);
    if (address.kind !== "unix") return address;
    const base = node.span === null ? process.cwd() : dirname(node.span.source.path);
    const absolute = `unix:${resolve(base, address.path)}`;
    const resolved = parseAddress(absolute);
    node.value = absolute;
    return resolved;
  } catch (error) {
    // The reason of a secret's error may quote it.
    const message =
      node.secret || !(error instanceof Error)
        ? `cannot read address ${shown(node)}: the variables make no address, expected host:port or unix:/path`
        : error.message;
    report.error(node.span, message + flagOf(node));
    return null;
  }
}
