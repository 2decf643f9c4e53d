import { readPassword } from "../net/password.ts";
import type { Report } from "./diagnostic.ts";
import type { Span } from "./source.ts";
import { asText, type ConfigNode, child, entries } from "./tree.ts";

/**
 * Checks the users of what asks for a name and password: in place and in a file, at least one of them.
 *
 * @param owner with the keys of `userSource`. @param keySpan of the owner. @param what it is called
 */
export function checkUsers(owner: ConfigNode, keySpan: Span | null, what: string, report: Report): void {
  if (owner.kind !== "map") return;
  const users = child(owner, "users");
  let count = 0;
  for (const { key, node } of entries(users)) {
    count++;
    const password = asText(node);
    if (password === null || password.value === "") continue;
    if (!password.secret) report.hide(password.span);
    try {
      const { kind } = readPassword(password.value);
      if (kind === "plain" && !password.secret) {
        report.warning(
          password.span,
          `the password of ${JSON.stringify(key)} stands in the file: a variable or a hash keeps it out`,
        );
      }
    } catch (error) {
      report.error(
        password.span,
        `cannot use the password of ${JSON.stringify(key)}: ${(error as Error).message}`,
      );
    }
  }
  const hasFile = owner.entries.has("usersFile");
  if (count === 0 && !hasFile && (users === null || users.kind === "map")) {
    report.error(keySpan, `cannot use ${what}: it has no users, so nobody could pass`);
  }
}
