import type { HeaderBlock } from "../../http/header-block.ts";

/** Says that the answer depends on a header of the request (RFC 9110 §12.5.5), unless it says so already. */
export function addVary(headers: HeaderBlock, name: string): void {
  const present = headers.getAll("vary").join(",").toLowerCase().split(",");
  if (!present.some((value) => value.trim() === name.toLowerCase() || value.trim() === "*")) {
    headers.append("vary", name);
  }
}
