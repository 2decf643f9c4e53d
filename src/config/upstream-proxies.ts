import type { NamedService } from "./kinds.ts";
import type { Environment } from "./substitution.ts";
import { asText, type ConfigNode, child, type MapNode, put, type TextNode } from "./tree.ts";

/** Puts the proxies that the environment names in the place of `proxy: environment`, of a `network` service. */
export function fillUpstreamProxies({ body }: NamedService, environment: Environment): void {
  const node = asText(child(body.node, "proxy"));
  if (body.node.kind !== "map" || node === null || node.value !== "environment") return;
  const read = (name: string): string => {
    for (const each of [name, name.toUpperCase()]) {
      const value = Object.hasOwn(environment, each) ? environment[each] : undefined;
      if (value !== undefined && value !== "") return value;
    }
    return "";
  };
  const made = (value: string): TextNode => ({ ...node, value, secret: true });
  const map: MapNode = { kind: "map", entries: new Map(), span: node.span };
  for (const scheme of ["http", "https"]) {
    const text = read(`${scheme}_proxy`) || read("all_proxy");
    // As curl has it, what names no scheme is an HTTP proxy.
    if (text !== "") put(map, scheme, made(text.includes("://") ? text : `http://${text}`));
  }
  const items: ConfigNode[] = read("no_proxy")
    .split(/[\s,]+/)
    .filter((each) => each !== "")
    .map(made);
  put(map, "noProxy", { kind: "list", items, span: node.span });
  put(body.node, "proxy", map);
}
