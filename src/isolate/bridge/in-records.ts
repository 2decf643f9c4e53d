import type { Exchange } from "../../http/exchange.ts";
import type { ResponseHead } from "../../http/message.ts";
import type { Tunnel } from "../../services/service.ts";
import * as wire from "../../wire/ops.ts";
import { guestUrl } from "./guest-target.ts";
import type { HeldBody } from "./held-body.ts";
import type { Inbox } from "./inbox.ts";

const versions: Readonly<Record<string, number>> = { "HTTP/1.0": 10, "HTTP/1.1": 11, "HTTP/2": 20 };

/** A length as a record holds it: what does not fit is as good as unknown to a guest. */
function shown(length: number): number {
  return length > 0x7fffffff ? -1 : length;
}

/**
 * Writes an exchange as the guest's handler sees it, with the Host and Content-Length that its head keeps apart.
 *
 * @param body the handle of its body, 0 without one
 */
export function writeRequest(
  inbox: Inbox,
  id: number,
  handler: number,
  event: "fetch" | "test",
  exchange: Exchange,
  body: number,
): void {
  const { request, client } = exchange;
  const length = exchange.bodyLength;
  let headers = request.headers.text;
  if (body !== 0 && length >= 0) headers = `Content-Length: ${length}\r\n${headers}`;
  if (request.upgrade !== "") headers = `Connection: Upgrade\r\nUpgrade: ${request.upgrade}\r\n${headers}`;
  if (request.authority !== "") headers = `Host: ${request.authority}\r\n${headers}`;
  const at = inbox.begin(wire.IN_REQUEST, 13, id);
  const { ints } = inbox;
  ints[at] = id;
  ints[at + 1] = handler;
  ints[at + 2] = event === "test" ? 1 : 0;
  ints[at + 3] = versions[client.httpVersion] ?? 11;
  ints[at + 4] = body;
  ints[at + 5] = shown(length);
  ints[at + 6] = client.port;
  ints[at + 7] = client.secure ? 1 : 0;
  ints[at + 8] = inbox.text(request.method);
  ints[at + 9] = inbox.text(guestUrl(request));
  ints[at + 10] = inbox.text(headers);
  ints[at + 11] = inbox.text(client.address);
  const tls = client.tls ?? null;
  ints[at + 12] = tls === null ? 0 : inbox.text(tls.cf);
}

/** Writes a tunnel as the guest's `connect` handler sees it. @param body the handle of what the client sends */
export function writeConnect(inbox: Inbox, id: number, handler: number, tunnel: Tunnel, body: number): void {
  // A connection of a tcp socket that asks for no host is for the address that it was made to.
  const asked = tunnel.host === "" ? (tunnel.client.localAddress ?? "") : tunnel.host;
  const host = asked.includes(":") ? `[${asked}]` : asked;
  const at = inbox.begin(wire.IN_CONNECT, 6, id);
  const { ints } = inbox;
  ints[at] = id;
  ints[at + 1] = handler;
  ints[at + 2] = body;
  ints[at + 3] = tunnel.client.port;
  ints[at + 4] = inbox.text(`${host}:${tunnel.port}`);
  ints[at + 5] = inbox.text(tunnel.client.address);
}

/** Writes the answer to a guest's fetch, with the Content-Length that its head keeps apart. */
export function writeResponse(
  inbox: Inbox,
  fetch: number,
  owner: number,
  head: ResponseHead,
  held: HeldBody | null,
): void {
  const length = held === null ? head.announcedLength : held.length;
  const headers = length >= 0 ? `${head.headers.text}Content-Length: ${length}\r\n` : head.headers.text;
  const at = inbox.begin(wire.IN_RESPONSE, 6, owner);
  const { ints } = inbox;
  ints[at] = fetch;
  ints[at + 1] = head.status;
  ints[at + 2] = held === null ? 0 : held.id;
  ints[at + 3] = shown(length);
  ints[at + 4] = inbox.text(head.reason);
  ints[at + 5] = inbox.text(headers);
}
