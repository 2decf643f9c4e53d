import type { Report } from "./diagnostic.ts";
import { placeOf } from "./source.ts";
import { child, type Entry, textAt } from "./tree.ts";
import { checkUsers } from "./users.ts";

/** Checks what a socket says as a forward proxy, as far as the schema cannot. */
export function checkForwardProxy(socket: Entry, report: Report): void {
  const { node } = socket;
  const auth = node.kind === "map" ? node.entries.get("proxyAuth") : undefined;
  checkSocks(socket, report);
  if (auth !== undefined) checkUsers(auth.node, auth.keySpan, "proxyAuth", report);
}

function checkSocks({ key, node }: Entry, report: Report): void {
  const socks = node.kind === "map" ? node.entries.get("socks") : undefined;
  if (node.kind !== "map" || socks === undefined) return;
  const note = { message: "by this key", place: socks.keySpan === null ? null : placeOf(socks.keySpan) };
  const tcp = node.entries.get("tcp");
  if (tcp !== undefined) {
    report.error(tcp.keySpan, `cannot use tcp on socket "${key}": it is one of SOCKS`, [note]);
  }
  const style = textAt(child(node, "http"), "style");
  if (style !== null) {
    report.error(style.span, `cannot use a style of HTTP on socket "${key}": it is one of SOCKS`, [note]);
  }
}
