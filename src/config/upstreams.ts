import { isIP } from "node:net";
import { formatAddress, parseAddress } from "../net/address.ts";
import { destinationsOf } from "./addresses.ts";
import type { Report } from "./diagnostic.ts";
import type { NamedService } from "./kinds.ts";
import { placeOf } from "./source.ts";
import { type ConfigNode, child, items, type MapNode, shown, type TextNode, textAt } from "./tree.ts";

/** Checks an external against mistakes that have the right shape. */
export function checkUpstream({ name, body }: NamedService, report: Report): void {
  const { node } = body;
  if (node.kind !== "map") return;
  const one = node.entries.get("address");
  const several = node.entries.get("addresses");
  if (one !== undefined && several !== undefined) {
    const [first, second] =
      [...node.entries.keys()].indexOf("address") < [...node.entries.keys()].indexOf("addresses")
        ? [one, several]
        : [several, one];
    report.error(second.keySpan, `cannot use "${second.key}" here: the external has "${first.key}" already`, [
      { message: "the other one", place: placeOf(first.keySpan) },
    ]);
  } else if (one === undefined && several === undefined) {
    if (![...node.entries.keys()].some((key) => nearlyAddress.test(key))) {
      report.error(
        body.keySpan,
        `cannot read services.${name}.external: "address" is missing, as in address: 127.0.0.1:9000`,
      );
    }
    return;
  }
  const list = items(several?.node);
  checkShares(list, report);
  checkTwice(node, report);
  checkBalance(node, report);
  checkRetries(child(node, "retries"), report);
  checkWarm(node, report);
  checkSecret(textAt(child(node, "sticky"), "secret"), report);
  // A flag may put one address in place of several for a while, and the rest of the config stays as it is.
  if (one === undefined || one.node.span !== null) {
    checkSticky(node, report);
    checkChoice(node, report);
  }
}

/** A key that was most likely meant to be `address`; the schema reports it. */
const nearlyAddress = /^add?r/i;

/** Somebody must take the requests when all is well. */
function checkShares(list: readonly ConfigNode[], report: Report): void {
  const [first] = list;
  if (first === undefined) return;
  const isBackup = (item: ConfigNode) => scalarOf(child(item, "backup")) === true;
  const primaries = list.filter((item) => !isBackup(item));
  if (primaries.length === 0) {
    report.error(
      child(first, "backup")?.span ?? first.span,
      "cannot use a backup alone: every address is one, so none is there to stand in for",
    );
  } else if (primaries.every((item) => scalarOf(child(item, "weight")) === 0)) {
    report.error(
      child(primaries[0], "weight")?.span ?? first.span,
      "cannot balance: no address has a weight above 0",
    );
  }
}

function checkTwice(node: MapNode, report: Report): void {
  const seen = new Map<string, TextNode>();
  for (const address of destinationsOf(node)) {
    const key = keyOf(address.value);
    const before = seen.get(key);
    if (before === undefined) seen.set(key, address);
    else {
      report.error(
        address.span,
        `cannot use ${shown(address)} twice: a weight gives an address a larger share`,
        [
          {
            message: "the address stands here first",
            place: before.span === null ? null : placeOf(before.span),
          },
        ],
      );
    }
  }
}

function checkBalance(node: MapNode, report: Report): void {
  const hash = child(child(node, "balance"), "hash");
  if (!node.entries.has("tcp")) return;
  if (hash !== null && scalarOf(hash) !== "client") {
    report.error(hash.span, "cannot hash this: a stream of bytes has nothing but its client's address");
  }
  const path = child(child(child(node, "health"), "check"), "path");
  if (path !== null) {
    report.error(path.span, "cannot ask for a path: a tcp external is checked by a connection alone");
  }
  const sticky = node.entries.get("sticky");
  if (sticky !== undefined) {
    report.error(sticky.keySpan, "cannot set a cookie: a stream of bytes has none, balance: hash is for it");
  }
}

function checkRetries(retries: ConfigNode | null, report: Report): void {
  if (retries?.kind !== "map") return;
  const perTry = retries.entries.get("perTryTimeout");
  if (perTry === undefined || scalarOf(perTry.node) === 0) return;
  if (!items(child(retries, "on")).some((item) => scalarOf(item) === "timeout")) {
    report.warning(
      perTry.keySpan,
      'a request that runs into perTryTimeout is not sent again: "on" does not name timeout',
    );
  }
}

function checkSecret(secret: TextNode | null, report: Report): void {
  if (secret === null || secret.value === "" || secret.secret) return;
  report.hide(secret.span);
  report.warning(secret.span, "the secret stands in the file: a variable keeps it out");
}

/** What is opened ahead is idle: above the bound it would be closed and opened again without end. */
function checkWarm(node: MapNode, report: Report): void {
  const warm = node.entries.get("warm");
  const count = scalarOf(warm?.node ?? null);
  const limits = child(node, "limits");
  for (const key of ["connections", "idleConnections"]) {
    const limit = scalarOf(child(limits, key));
    if (warm === undefined || typeof count !== "number" || typeof limit !== "number" || count <= limit)
      continue;
    report.error(warm.keySpan, `cannot keep ${count} connections warm: limits.${key} allows ${limit}`);
  }
}

/** A name may have several addresses. */
function checkSticky(node: MapNode, report: Report): void {
  const sticky = node.entries.get("sticky");
  const [first, second] = destinationsOf(node);
  if (sticky === undefined || first === undefined || second !== undefined || isName(first.value)) return;
  report.error(sticky.keySpan, "cannot keep clients apart: there is one address, so all go there", [
    { message: "the address", place: first.span === null ? null : placeOf(first.span) },
  ]);
}

/** What is about several endpoints, or about names, and there are none. */
function checkChoice(node: MapNode, report: Report): void {
  const destinations = [...destinationsOf(node)];
  if (destinations.length === 0 || destinations.some(({ value }) => isName(value))) return;
  const resolve = node.entries.get("resolve");
  if (resolve !== undefined) report.warning(resolve.keySpan, '"resolve" does nothing: no address is a name');
  if (destinations.length > 1) return;
  const health = child(node, "health");
  for (const [map, key] of [
    [node, "balance"],
    [health, "passive"],
    [health, "panicThreshold"],
    [health, "slowStart"],
  ] as const) {
    const entry = map?.kind === "map" ? map.entries.get(key) : undefined;
    if (entry === undefined || scalarOf(entry.node) === false || scalarOf(entry.node) === 0) continue;
    report.warning(entry.keySpan, `"${key}" does nothing: there is one address`);
  }
}

function isName(text: string): boolean {
  try {
    const address = parseAddress(text);
    return address.kind === "tcp" && isIP(address.host) === 0;
  } catch {
    return true;
  }
}

function keyOf(text: string): string {
  try {
    return formatAddress(parseAddress(text));
  } catch {
    return text;
  }
}

function scalarOf(node: ConfigNode | null): unknown {
  return node?.kind === "scalar" ? node.value : undefined;
}
