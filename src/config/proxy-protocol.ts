import type { Report } from "./diagnostic.ts";
import type { NamedService } from "./kinds.ts";
import { child, type Entry, items, textAt } from "./tree.ts";

/** A preamble is as good as its sender, so a socket that takes them names somebody. */
export function checkPreambleSenders(socket: Entry, report: Report): void {
  const accept = textAt(socket.node, "proxyProtocol");
  if (accept?.value !== "accept") return;
  if (items(child(child(socket.node, "http"), "trustedProxies")).length > 0) return;
  report.error(
    accept.span,
    `cannot accept preambles on socket "${socket.key}": nobody is trusted to send them; expected trustedProxies in http, or ` +
      "proxyProtocol: { from: [10.0.0.0/8] }",
  );
}

/** A connection that began with a preamble belongs to one client, so none can be opened ahead or shared. */
export function checkPreambles({ name, kind, body }: NamedService, report: Report): void {
  if (kind !== "external" || child(body.node, "proxyProtocol") === null || body.node.kind !== "map") return;
  const warm = body.node.entries.get("warm");
  if (warm?.node.kind === "scalar" && warm.node.value !== 0) {
    report.error(
      warm.keySpan,
      `cannot keep connections of external "${name}" warm: each begins with a preamble that tells its client`,
    );
  }
  const http = child(body.node, "http");
  const version = http?.kind === "map" ? http.entries.get("version") : undefined;
  if (version?.node.kind === "scalar" && version.node.value === 2) {
    report.error(
      version.keySpan,
      `cannot speak HTTP/2 to external "${name}": its connections are shared, and a preamble tells one client`,
    );
  }
}
