import { type KeyConfig, readKey } from "../net/verification-key.ts";
import type { Report } from "./diagnostic.ts";
import type { Span } from "./source.ts";
import { asText, type ConfigNode, child, items, plain, textAt } from "./tree.ts";

/** Checks the keys of a `jwt` middleware, and that each algorithm has a key that fits it. */
export function checkJwt(node: ConfigNode, keySpan: Span | null, report: Report): void {
  if (node.kind !== "map") return;
  const keys = items(child(node, "keys"));
  const jwks = child(node, "jwks");
  if (keys.length === 0 && jwks === null) {
    report.error(keySpan, "cannot use jwt: it has neither keys nor jwks, so no token could be checked");
    return;
  }
  const algorithms = items(child(node, "algorithms")).flatMap((item) => asText(item) ?? []);
  const wanted = new Set(algorithms.map(({ value }) => value));
  const covered = new Set<string>();
  let isWhole = true;
  for (const item of keys) {
    const own = readKeyNode(item, report);
    if (own === null) isWhole = false;
    else if (wanted.size > 0 && !own.some((each) => wanted.has(each))) {
      report.error(
        item.span,
        `cannot use the key: it is for ${own.join(", ")}, which algorithms does not have`,
      );
    }
    for (const each of own ?? []) covered.add(each);
  }
  for (const algorithm of algorithms) {
    const { value } = algorithm;
    if (!isWhole || covered.has(value) || !/^(RS|PS|ES|HS)\d{3}$|^EdDSA$|^Ed25519$/.test(value)) continue;
    if (jwks === null) report.error(algorithm.span, `cannot check tokens of ${value}: no key is for it`);
    else if (value.startsWith("HS")) {
      report.error(
        algorithm.span,
        `cannot check tokens of ${value}: no secret is for it, and a set that is published holds none`,
      );
    }
  }
}

/** The algorithms that the key is for; null when it is wrong, which is then reported here or by the schema. */
function readKeyNode(node: ConfigNode, report: Report): readonly string[] | null {
  if (node.kind !== "map") return null;
  const sources = ["pem", "jwk", "secret"].filter((name) => node.entries.has(name));
  const [source = ""] = sources;
  const value = node.entries.get(source)?.node ?? null;
  if (sources.length !== 1 || value === null) return null;
  const text = textAt(node, source);
  if (source === "jwk" ? value.kind !== "map" : text === null || text.value === "") return null;
  if (source === "secret" && text?.secret === false) {
    report.hide(text.span);
    report.warning(text.span, "the secret stands in the file: a variable keeps it out");
  }
  try {
    return readKey(plain(node) as KeyConfig).algorithms;
  } catch (error) {
    report.error(value.span ?? node.span, `cannot use the key: ${(error as Error).message}`);
    return null;
  }
}
