import type { Message } from "./reading.ts";

/** What we accept and llhttp does not, on purpose. */
interface Difference {
  /** The error codes of Node.js. */
  readonly codes: readonly string[];
  /** Why we are right to accept it. */
  readonly reason: string;
  /** `theirs` is undefined when llhttp refuses the head already. */
  applies(ours: Message, theirs: Message | undefined, before: Message | undefined): boolean;
}

/** The whole list: everything else that only we accept is a finding. */
const differences: readonly Difference[] = [
  {
    codes: ["HPE_INVALID_METHOD"],
    reason: "any token is a method (RFC 9110 §9.1), and llhttp knows a list",
    applies: ({ start }, theirs) =>
      theirs === undefined && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(start[0] ?? ""),
  },
  {
    codes: ["HPE_INVALID_VERSION"],
    reason: "a later minor version of HTTP/1 is read as the one we know (RFC 9110 §2.5)",
    applies: ({ start }, theirs) => theirs === undefined && start.at(-1) === "1.1",
  },
  {
    codes: ["HPE_INVALID_CONTENT_LENGTH", "HPE_INVALID_TRANSFER_ENCODING", "HPE_UNEXPECTED_CONTENT_LENGTH"],
    reason:
      "framing fields in a trailer section are dropped (RFC 9110 §6.5.1), and llhttp takes them for the header's",
    applies: (ours, theirs) => theirs !== undefined && ours.complete && ours.body === theirs.body,
  },
  {
    codes: ["HPE_CLOSED_CONNECTION"],
    reason: "Proxy-Connection, and Connection in a trailer, close nothing (RFC 9112 §C.2.2, RFC 9110 §6.5.1)",
    applies: (_ours, theirs, before) =>
      theirs === undefined &&
      before !== undefined &&
      (hasField(before.fields, "proxy-connection") ||
        hasField(before.trailers, "connection", "proxy-connection")),
  },
  {
    codes: ["HPE_CLOSED_CONNECTION"],
    reason:
      "an interim response with close is followed by the final one, after which we close (RFC 9112 §9.6)",
    applies: (_ours, theirs, before) => theirs === undefined && before?.start[0]?.startsWith("1") === true,
  },
];

export function isAllowed(
  code: string | null,
  ours: Message,
  theirs: Message | undefined,
  before: Message | undefined,
): boolean {
  return differences.some(
    (one) => code !== null && one.codes.includes(code) && one.applies(ours, theirs, before),
  );
}

function hasField(fields: Message["fields"], ...names: readonly string[]): boolean {
  return fields.some(([name]) => names.includes(name.toLowerCase()));
}
