import * as rpc from "../../wire/rpc-ops.ts";
import type { RpcExport, RpcMessage } from "./guest-rpc-objects.ts";
import type { Inbox } from "./inbox.ts";
import type { Session } from "./session.ts";

/**
 * Writes all of a message for a guest but the last piece of its text.
 *
 * @param owner the exchange that what comes with it belongs to, or 0
 * @param hold makes an object one of the guest's imports, and gives its number
 * @returns the last piece, for the record that uses the message
 */
export function deliver(
  session: Session,
  message: RpcMessage,
  owner: number,
  hold: (target: RpcExport) => number,
): string {
  const { inbox } = session;
  for (const cap of message.caps) {
    if (cap.kind === "body") {
      const held = session.bodies.hold(cap.source, owner, "named");
      held.headers = cap.headers;
      writeCap(inbox, rpc.CAP_BODY, held.id, held.length > 0x7fffffff ? -1 : held.length);
    } else writeCap(inbox, rpc.CAP_IMPORT, hold(cap.target), owner);
  }
  for (const chunk of message.chunks) inbox.chunk(rpc.RPC_DATA, 0, chunk, -1);
  const { texts } = message;
  for (let i = 0; i < texts.length - 1; i++) writeText(inbox, texts[i] as string);
  const last = texts[texts.length - 1] ?? "";
  if (last.length <= rpc.MAX_PIECE) return last;
  writeText(inbox, last);
  return "";
}

/** @param third the length of a body, the owner of an import */
function writeCap(inbox: Inbox, kind: number, ref: number, third: number): void {
  const at = inbox.begin(rpc.RPC_CAP, 3, -1);
  inbox.ints[at] = kind;
  inbox.ints[at + 1] = ref;
  inbox.ints[at + 2] = third;
}

function writeText(inbox: Inbox, text: string): void {
  for (let from = 0; from < text.length; from += rpc.MAX_PIECE) {
    const at = inbox.begin(rpc.RPC_DATA, 3, -1);
    inbox.ints[at] = inbox.text(text.slice(from, from + rpc.MAX_PIECE));
    inbox.ints[at + 1] = 0;
    inbox.ints[at + 2] = 0;
  }
}
