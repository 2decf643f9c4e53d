import type { ServerHttp2Stream } from "node:http2";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { ByteStream } from "../exchange.ts";
import type { HeaderBlock } from "../header-block.ts";
import { CANCEL, ENHANCE_YOUR_CALM, INTERNAL_ERROR } from "../http2/codes.ts";
import { addFields, noFields, type OutgoingFields } from "../http2/fields.ts";
import type { ResponseHead } from "../message.ts";
import { acceptKey } from "../websocket/handshake.ts";

/** Sends 1xx, but 101, which HTTP/2 does not have. */
export function sendInterim(stream: ServerHttp2Stream, status: number, headers: HeaderBlock | null): void {
  const fields = noFields();
  fields[":status"] = status;
  if (headers !== null) addFields(fields, headers);
  try {
    stream.additionalHeaders(fields);
  } catch {
    // Interim responses are a courtesy; what is wrong with the stream shows with the final one.
  }
}

/**
 * Sends the final head.
 * @param length for Content-Length; -1 for none. @param ended there is no body. @param date for a head without one
 * @returns why the head cannot be sent, or null
 */
export function sendHead(
  stream: ServerHttp2Stream,
  head: ResponseHead,
  length: number,
  ended: boolean,
  sendsTrailers: boolean,
  date: string,
): ProxyError | null {
  const fields = noFields();
  fields[":status"] = head.status;
  addFields(fields, head.headers);
  if (length >= 0) fields["content-length"] = length;
  return sendFields(stream, fields, ended, sendsTrailers, date);
}

/** The same with fields that are ready. */
export function sendFields(
  stream: ServerHttp2Stream,
  fields: OutgoingFields,
  ended: boolean,
  sendsTrailers: boolean,
  date: string,
): ProxyError | null {
  fields.date ??= date;
  try {
    stream.respond(fields, { endStream: ended, waitForTrailers: sendsTrailers });
    return null;
  } catch (problem) {
    return ProxyError.from(problem);
  }
}

/** What the client is told of a response that broke off; a server's own word where it means the same here. */
export function resetCode(error: ProxyError): number {
  const told = error.details?.http2Code;
  if (told === CANCEL || told === ENHANCE_YOUR_CALM) return told;
  return error.source === "downstream" ? CANCEL : INTERNAL_ERROR;
}

/**
 * Checks the answer to a WebSocket's handshake that was made up for an extended CONNECT: in HTTP/1.1 the client does
 * (RFC 6455 §4.1), here only we know the key. @returns why it is refused, or null
 */
export function checkAccept(head: ResponseHead, key: string): ProxyError | null {
  const accepts = head.headers.getAll("sec-websocket-accept");
  if (accepts.length === 1 && accepts[0] === acceptKey(key)) return null;
  return new ProxyError("upstream_malformed", "cannot upgrade: Sec-WebSocket-Accept is wrong");
}

/** Nobody takes the stream. */
export function discard(stream: ByteStream, error: ProxyError): void {
  stream.readable.cancel(error);
  stream.writable.fail(error);
}
