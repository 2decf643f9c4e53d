import { reasonPhrases } from "../../wire/reason-phrases.ts";
import { invalidType, nodeError } from "./errors.ts";

export const methods: readonly string[] = [
  "ACL",
  "BIND",
  "CHECKOUT",
  "CONNECT",
  "COPY",
  "DELETE",
  "GET",
  "HEAD",
  "LINK",
  "LOCK",
  "M-SEARCH",
  "MERGE",
  "MKACTIVITY",
  "MKCALENDAR",
  "MKCOL",
  "MOVE",
  "NOTIFY",
  "OPTIONS",
  "PATCH",
  "POST",
  "PROPFIND",
  "PROPPATCH",
  "PURGE",
  "PUT",
  "QUERY",
  "REBIND",
  "REPORT",
  "SEARCH",
  "SOURCE",
  "SUBSCRIBE",
  "TRACE",
  "UNBIND",
  "UNLINK",
  "UNLOCK",
  "UNSUBSCRIBE",
];

/** The names that Node still has for some codes beside the registered ones. */
export const statusCodes: Readonly<Record<number, string>> = {
  ...reasonPhrases,
  413: "Payload Too Large",
  418: "I'm a Teapot",
  422: "Unprocessable Entity",
  509: "Bandwidth Limit Exceeded",
};

const token = /^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+$/;

export function validateHeaderName(name: unknown, label = "Header name"): asserts name is string {
  if (typeof name !== "string" || !token.test(name))
    throw nodeError(
      TypeError,
      "ERR_INVALID_HTTP_TOKEN",
      `${label} must be a valid HTTP token ["${String(name)}"]`,
    );
}

export function validateHeaderValue(name: string, value: unknown): void {
  if (value === undefined)
    throw nodeError(
      TypeError,
      "ERR_HTTP_INVALID_HEADER_VALUE",
      `Invalid value "undefined" for header "${name}"`,
    );
  if (/[^\t\x20-\x7e\x80-\xff]/.test(String(value)))
    throw nodeError(TypeError, "ERR_INVALID_CHAR", `Invalid character in header content ["${name}"]`);
}

type HeaderValue = string | readonly string[];

/** The header fields of a message that is being made, under the names in which they were set. */
export class OutgoingHeaders {
  readonly #fields = new Map<string, readonly [name: string, value: HeaderValue]>();

  set(name: unknown, value: unknown): void {
    validateHeaderName(name);
    if (Array.isArray(value)) for (const item of value) validateHeaderValue(name, item);
    else validateHeaderValue(name, value);
    this.#fields.set(name.toLowerCase(), [name, Array.isArray(value) ? value.map(String) : String(value)]);
  }

  append(name: string, value: string | readonly string[]): void {
    const known = this.get(name);
    const values = [...(known === undefined ? [] : [known].flat()), ...[value].flat()];
    this.set(name, values);
  }

  get(name: unknown): HeaderValue | undefined {
    if (typeof name !== "string") throw invalidType("name", "of type string", name);
    return this.#fields.get(name.toLowerCase())?.[1];
  }

  has(name: string): boolean {
    return this.#fields.has(name.toLowerCase());
  }

  remove(name: string): void {
    this.#fields.delete(name.toLowerCase());
  }

  get names(): string[] {
    return [...this.#fields.keys()];
  }

  get rawNames(): string[] {
    return [...this.#fields.values()].map(([name]) => name);
  }

  get all(): Record<string, HeaderValue> {
    const all = { __proto__: null } as unknown as Record<string, HeaderValue>;
    for (const [key, [, value]] of this.#fields) all[key] = value;
    return all;
  }

  /** Pairs of a name and one value. */
  get pairs(): [string, string][] {
    return [...this.#fields.values()].flatMap(([name, value]) =>
      [value].flat().map((one): [string, string] => [name, one as string]),
    );
  }
}
