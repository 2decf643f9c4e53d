/**
 * The fields that concern one connection, or the framing of one message. They never get into a HeaderBlock by way of a
 * parser, and never out of one by way of a writer (RFC 9110 §7.6.1, RFC 9112 §6).
 */
export const ORDINARY = 0;
export const TE = 1;
export const HOST = 2;
export const EXPECT = 3;
export const UPGRADE = 4;
export const CONNECTION = 5;
export const CONTENT_LENGTH = 6;
export const TRANSFER_ENCODING = 7;
/** Keep-Alive, Proxy-Connection and HTTP2-Settings: dropped unread. */
export const DROPPED = 8;
export type FieldKind = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** The kind of the field whose name is the `length` octets at `at`, which must be a token. */
export function kindOfOctets(bytes: Uint8Array, at: number, length: number): FieldKind {
  switch (length) {
    case 2:
      return octetsAre(bytes, at, "te") ? TE : ORDINARY;
    case 4:
      return octetsAre(bytes, at, "host") ? HOST : ORDINARY;
    case 6:
      return octetsAre(bytes, at, "expect") ? EXPECT : ORDINARY;
    case 7:
      return octetsAre(bytes, at, "upgrade") ? UPGRADE : ORDINARY;
    case 10:
      if (octetsAre(bytes, at, "connection")) return CONNECTION;
      return octetsAre(bytes, at, "keep-alive") ? DROPPED : ORDINARY;
    case 14:
      if (octetsAre(bytes, at, "content-length")) return CONTENT_LENGTH;
      return octetsAre(bytes, at, "http2-settings") ? DROPPED : ORDINARY;
    case 16:
      return octetsAre(bytes, at, "proxy-connection") ? DROPPED : ORDINARY;
    case 17:
      return octetsAre(bytes, at, "transfer-encoding") ? TRANSFER_ENCODING : ORDINARY;
    default:
      return ORDINARY;
  }
}

/** As `kindOfOctets`, for a name that is already text in lower case. */
export function kindOfName(name: string): FieldKind {
  switch (name) {
    case "te":
      return TE;
    case "host":
      return HOST;
    case "expect":
      return EXPECT;
    case "upgrade":
      return UPGRADE;
    case "connection":
      return CONNECTION;
    case "content-length":
      return CONTENT_LENGTH;
    case "transfer-encoding":
      return TRANSFER_ENCODING;
    case "keep-alive":
    case "http2-settings":
    case "proxy-connection":
      return DROPPED;
    default:
      return ORDINARY;
  }
}

/** Setting bit 5 folds the case of letters, and makes no other octet of a token equal to one of `name`. */
function octetsAre(bytes: Uint8Array, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    if (((bytes[at + i] as number) | 0x20) !== name.charCodeAt(i)) return false;
  }
  return true;
}
