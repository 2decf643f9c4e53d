import type { RequestHead } from "../../../http/message.ts";
import { cookieValue } from "../client-key.ts";

/** Where a token stands: `authorization` is `Authorization: Bearer …` (RFC 6750 §2.1). */
export type TokenPlace =
  | "authorization"
  | { readonly header: string }
  | { readonly cookie: string }
  | { readonly query: string };

/** What a request has for a token. */
export type FoundToken =
  | { readonly kind: "none" }
  /** Two of them, or a field that holds none (RFC 6750 §3.1, `invalid_request`). */
  | { readonly kind: "malformed" }
  | { readonly kind: "token"; readonly token: string };

const none: FoundToken = { kind: "none" };
const malformed: FoundToken = { kind: "malformed" };

/** Three parts of base64url with dots between (RFC 7515 §3.1); longer ones than this no header would hold. */
const compact = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const maxLength = 16_384;

/**
 * Takes the token from the first of the places that has one. One in the query is taken out of the target, whether it is
 * good or not, since targets stand in logs; one elsewhere stays unless `remove` is set.
 */
export function takeToken(request: RequestHead, places: readonly TokenPlace[], remove: boolean): FoundToken {
  let found: FoundToken = none;
  for (const place of places) {
    const value = valueAt(request, place);
    if (value === null) continue;
    if (found.kind === "none") {
      found = value.length <= maxLength && compact.test(value) ? { kind: "token", token: value } : malformed;
    }
    if (remove) removeAt(request, place);
  }
  return found;
}

/** Null when there is none; a text that is no token when there is something else in its place. */
function valueAt(request: RequestHead, place: TokenPlace): string | null {
  const { headers } = request;
  if (place === "authorization") {
    const values = headers.getAll("authorization");
    if (values.length > 1) return "";
    const match = /^bearer +(.*)$/i.exec(values[0] ?? "");
    return match === null ? null : (match[1] ?? "").trimEnd();
  }
  if ("header" in place) {
    const values = headers.getAll(place.header);
    return values.length > 1 ? "" : (values[0] ?? null);
  }
  if ("cookie" in place) return cookieValue(request, place.cookie);
  return takeParameter(request, place.query);
}

function removeAt(request: RequestHead, place: TokenPlace): void {
  const { headers } = request;
  if (place === "authorization") headers.delete("authorization");
  else if ("header" in place) headers.delete(place.header);
  else if ("cookie" in place) removeCookie(request, place.cookie);
}

function removeCookie(request: RequestHead, name: string): void {
  const { headers } = request;
  const lines = headers.getAll("cookie");
  headers.delete("cookie");
  for (const line of lines) {
    const kept = line.split(";").filter((pair) => pair.split("=", 1)[0]?.trim() !== name);
    if (kept.length > 0) headers.append("cookie", kept.join(";").trim());
  }
}

/** The parameter's value, which leaves the target; the rest of the query stays byte for byte. Empty when it stands twice. */
function takeParameter(request: RequestHead, name: string): string | null {
  const { target } = request;
  const at = target.indexOf("?");
  if (at === -1) return null;
  const values: string[] = [];
  const kept = target
    .slice(at + 1)
    .split("&")
    .filter((pair) => {
      const [key = "", value = ""] = new URLSearchParams(pair).entries().next().value ?? [];
      if (key === name) values.push(value);
      return key !== name;
    });
  if (values.length === 0) return null;
  request.target = target.slice(0, at) + (kept.length === 0 ? "" : `?${kept.join("&")}`);
  return values.length > 1 ? "" : (values[0] ?? "");
}
