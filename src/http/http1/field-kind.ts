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
/** Dropped unread. */
export const DROPPED = 8;
export type FieldKind = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const kinds: ReadonlyMap<string, FieldKind> = new Map([
  ["te", TE],
  ["host", HOST],
  ["expect", EXPECT],
  ["upgrade", UPGRADE],
  ["connection", CONNECTION],
  ["content-length", CONTENT_LENGTH],
  ["transfer-encoding", TRANSFER_ENCODING],
  ["keep-alive", DROPPED],
  ["proxy-connection", DROPPED],
  ["http2-settings", DROPPED],
]);

interface Candidate {
  readonly name: string;
  readonly kind: FieldKind;
}

/** The names above by their length, since the length alone rules most fields out. */
const byLength: ReadonlyArray<readonly Candidate[]> = Array.from({ length: 18 }, (_, length) =>
  [...kinds].filter(([name]) => name.length === length).map(([name, kind]) => ({ name, kind })),
);

/** The kind of the field whose name is the `length` octets at `at`, which must be a token. */
export function kindOfOctets(bytes: Uint8Array, at: number, length: number): FieldKind {
  const candidates = byLength[length];
  if (candidates === undefined) return ORDINARY;
  for (let i = 0; i < candidates.length; i++) {
    const { name, kind } = candidates[i] as Candidate;
    if (octetsAre(bytes, at, name)) return kind;
  }
  return ORDINARY;
}

/** As `kindOfOctets`, for a name that stands in text. */
export function kindOfText(text: string, at: number, length: number): FieldKind {
  const candidates = byLength[length];
  if (candidates === undefined) return ORDINARY;
  for (let i = 0; i < candidates.length; i++) {
    const { name, kind } = candidates[i] as Candidate;
    if (textIs(text, at, name)) return kind;
  }
  return ORDINARY;
}

/** Setting bit 5 folds the case of letters, and makes no other octet of a token equal to one of `name`. */
function octetsAre(bytes: Uint8Array, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    if (((bytes[at + i] as number) | 0x20) !== name.charCodeAt(i)) return false;
  }
  return true;
}

/** True when the token at `at` begins with `name`, which is in lower case. */
export function textIs(text: string, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    if ((text.charCodeAt(at + i) | 0x20) !== name.charCodeAt(i)) return false;
  }
  return true;
}
