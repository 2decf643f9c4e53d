import type { Report } from "./diagnostic.ts";
import type { Entry } from "./tree.ts";
import { checkUsers } from "./users.ts";

/** Checks what a socket says as a forward proxy, as far as the schema cannot. */
export function checkForwardProxy({ node }: Entry, report: Report): void {
  const auth = node.kind === "map" ? node.entries.get("proxyAuth") : undefined;
  if (auth !== undefined) checkUsers(auth.node, auth.keySpan, "proxyAuth", report);
}
