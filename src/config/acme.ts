import type { Report } from "./diagnostic.ts";
import { child, entries, items, type MapNode, textAt } from "./tree.ts";

/** Checks that some socket can answer the challenges that sockets with `acme` choose. */
export function checkAcme(root: MapNode, incomplete: boolean, report: Report): void {
  const sockets = [...entries(child(root, "sockets"))];
  const servesHttp = sockets.some(
    ({ node }) =>
      child(node, "tls") === null &&
      child(node, "tcp") === null &&
      child(node, "socks") === null &&
      textAt(child(node, "http"), "style")?.value !== "proxy",
  );
  if (servesHttp || incomplete) return;
  for (const { node } of sockets) {
    const challenges = child(child(child(node, "tls"), "acme"), "challenges");
    const chosen = items(challenges);
    const only = chosen[0];
    if (
      only?.kind !== "scalar" ||
      !chosen.every((item) => item.kind === "scalar" && item.value === "http-01")
    )
      continue;
    report.error(
      only.span,
      "cannot use http-01: no socket answers HTTP without TLS; add one on port 80, or take tls-alpn-01",
    );
  }
}
