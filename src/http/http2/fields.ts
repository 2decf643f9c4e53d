import type { OutgoingHttpHeaders } from "node:http2";
import { HeaderBlock, trimmed, validName, validValue } from "../header-block.ts";
import {
  CONNECTION,
  CONTENT_LENGTH,
  DROPPED,
  EXPECT,
  HOST,
  kindOfText,
  ORDINARY,
  TE,
  TRANSFER_ENCODING,
  UPGRADE,
} from "../http1/field-kind.ts";
import { allowedTrailers } from "../http1/trailer-fields.ts";
import { malformed } from "../http1/violation.ts";

/** A header section for node:http2: names in lower case, a list where a name has several values. */
export type OutgoingFields = OutgoingHttpHeaders;

/** An empty one. It has no prototype, so that no field name means anything but itself. */
export function noFields(): OutgoingFields {
  return Object.create(null) as OutgoingFields;
}

/**
 * Adds the end-to-end fields of a block, in lower case (RFC 9113 §8.2.1). What belongs to a connection or to the framing
 * is left out, should it be there (§8.2.2).
 */
export function addFields(into: OutgoingFields, block: HeaderBlock): void {
  const { text } = block;
  for (let line = 0; line < text.length; ) {
    const end = text.indexOf("\r\n", line);
    const length = text.indexOf(":", line) - line;
    if (kindOfText(text, line, length) === ORDINARY) {
      const name = text.slice(line, line + length).toLowerCase();
      const value = trimmed(text, line + length + 1, end);
      const had = into[name];
      if (had === undefined) into[name] = value;
      else if (Array.isArray(had)) had.push(value);
      else into[name] = [String(had), value];
    }
    line = end + 2;
  }
}

/** Trailers as node:http2 takes them; null when there are none that may be sent. */
export function trailerFields(trailers: HeaderBlock | null): OutgoingFields | null {
  if (trailers === null) return null;
  const text = allowedTrailers(trailers.text);
  if (text === "") return null;
  const fields = noFields();
  addFields(fields, new HeaderBlock(text));
  return fields;
}

/** Trailers as they came, without those that must not be there; null when none is left. @throws Violation */
export function readTrailers(raw: readonly string[]): HeaderBlock | null {
  let text = "";
  for (let i = 0; i + 1 < raw.length; i += 2) text += fieldLine(raw[i] as string, raw[i + 1] as string);
  const allowed = allowedTrailers(text);
  return allowed === "" ? null : new HeaderBlock(allowed);
}

/** One line of a block. @throws Violation for what could break a message */
export function fieldLine(name: string, value: string): string {
  if (!validName(name)) throw malformed("a field's name is no token");
  if (!validValue(value)) throw malformed("a field's value has forbidden characters");
  return `${name}: ${value}\r\n`;
}

/** What a field means to the one who reads a head in HTTP/2. */
export { CONTENT_LENGTH, EXPECT, HOST, ORDINARY, TE };

/** True for the fields that make a message malformed (RFC 9113 §8.2.2). */
export function isForbidden(kind: number): boolean {
  return kind === CONNECTION || kind === UPGRADE || kind === TRANSFER_ENCODING || kind === DROPPED;
}
