import { validValue } from "../../../http/header-block.ts";

/** A claim by its name, or by a path of names with dots between; undefined when there is none. */
export function claimAt(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  // A claim whose name has dots, as namespaced ones have, comes first.
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

/**
 * A claim as the value of a header field: texts in UTF-8, numbers and booleans as they are, lists and objects as JSON in
 * ASCII. Null when there is none, or when a text has control characters, which no field may have.
 */
export function claimField(value: unknown): string | null {
  switch (typeof value) {
    case "string":
      return textField(value);
    case "number":
    case "boolean":
      return `${value}`;
    case "object":
      return value === null ? null : asciiJson(value);
    default:
      return null;
  }
}

function textField(text: string): string | null {
  const value = Buffer.from(text.trim(), "utf8").toString("latin1");
  return validValue(value) ? value : null;
}

function asciiJson(value: object): string {
  return JSON.stringify(value).replaceAll(
    /[\x7f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The scopes of a token: `scope` with spaces between (RFC 8693 §4.2, RFC 9068 §2.2.3), or a list in `scope` or `scp`. */
export function scopesOf(claims: Readonly<Record<string, unknown>>): ReadonlySet<string> {
  const value = claims.scope ?? claims.scp;
  if (typeof value === "string") return new Set(value.split(" "));
  return new Set(Array.isArray(value) ? value.filter((item) => typeof item === "string") : []);
}
