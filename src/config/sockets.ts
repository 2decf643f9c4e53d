import type { Report } from "./diagnostic.ts";
import type { NamedService } from "./kinds.ts";
import { checkPreambleSenders } from "./proxy-protocol.ts";
import { placeOf } from "./source.ts";
import { asText, child, type Entry, items, shown, textAt } from "./tree.ts";

/** Checks what a socket's keys ask for together. */
export function checkSocket(socket: Entry, services: readonly NamedService[], report: Report): void {
  const { node } = socket;
  if (node.kind !== "map") return;
  checkPreambleSenders(socket, report);
  const tcp = node.entries.get("tcp");
  if (tcp === undefined) return;
  const http = node.entries.get("http");
  if (http !== undefined) {
    report.error(http.keySpan, `cannot use http on socket "${socket.key}": it is one of byte streams`, [
      { message: "by this key", place: tcp.keySpan === null ? null : placeOf(tcp.keySpan) },
    ]);
  }
  const protocols = child(tcp.node, "protocols");
  if (items(protocols).length > 0 && !node.entries.has("tls")) {
    report.error(
      protocols?.span ?? tcp.keySpan,
      `cannot agree on protocols on socket "${socket.key}": that is a part of TLS, and it has no tls`,
    );
  }
  const service = node.entries.get("service");
  const name = asText(service?.node) ?? textAt(service?.node, "name");
  const kind = services.find((each) => each.name === name?.value)?.kind;
  if (name !== null && (kind === "disk" || kind === "middleware")) {
    report.error(name.span, `cannot send byte streams to service ${shown(name)}: it is of kind ${kind}`);
  }
  const sni = child(tcp.node, "sni");
  const isNamed = node.entries.has("tls") || (sni?.kind === "scalar" && sni.value === true);
  const isNetwork = kind === "network" || (kind === undefined && name?.value === "internet");
  if (name !== null && isNetwork && !isNamed) {
    report.error(
      name.span,
      `cannot send byte streams to service ${shown(name)}: a network goes where the client asks, and only TLS says where; ` +
        "sni: true would read it",
    );
  }
}
