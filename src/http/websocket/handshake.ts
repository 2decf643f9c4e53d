import { createHash, randomBytes } from "node:crypto";
import { type HeaderBlock, validName } from "../header-block.ts";
import type { RequestHead } from "../message.ts";
import { type Deflate, type ExtensionParameters, loadFraming } from "./framing.ts";

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const name = "permessage-deflate";

/** RFC 6455 §4.2.2, step 5.4. */
export function acceptKey(key: string): string {
  return createHash("sha1").update(key).update(guid).digest("base64");
}

/** A key for an opening handshake: 16 random bytes in base64 (RFC 6455 §4.1). */
export function newKey(): string {
  return randomBytes(16).toString("base64");
}

/** Why a client's opening handshake is refused. */
export interface HandshakeRefusal {
  readonly status: 400 | 405 | 426;
  readonly reason: string;
}

/**
 * Checks what a client sent to open a WebSocket (RFC 6455 §4.2.1); that it has the Upgrade and Connection of one,
 * `request.upgrade` says.
 */
export function checkHandshake(request: RequestHead): HandshakeRefusal | null {
  const { headers, method } = request;
  if (method !== "GET") return { status: 405, reason: "its method is not GET" };
  const versions = headers.getAll("sec-websocket-version");
  if (versions.length !== 1 || versions[0] !== "13") {
    return { status: 426, reason: "its Sec-WebSocket-Version is not 13" };
  }
  const keys = headers.getAll("sec-websocket-key");
  // 16 bytes in base64: 22 digits, the last of which has four bits to spare, and padding.
  if (keys.length !== 1 || !/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(keys[0] as string)) {
    return { status: 400, reason: "its Sec-WebSocket-Key is not 16 bytes in base64" };
  }
  if (offeredProtocols(headers) === null) {
    return { status: 400, reason: "its Sec-WebSocket-Protocol is not a list of tokens" };
  }
  return null;
}

/** The subprotocols that a client offers, or null when they are not a list of different tokens (RFC 6455 §4.1). */
export function offeredProtocols(headers: HeaderBlock): readonly string[] | null {
  const lines = headers.getAll("sec-websocket-protocol");
  if (lines.length === 0) return [];
  const offers = lines
    .join(",")
    .split(",")
    .map((offer) => offer.trim());
  if (offers.some((offer) => !validName(offer)) || new Set(offers).size !== offers.length) return null;
  return offers;
}

/**
 * What of a client's offers is accepted (RFC 7692 §5.1), as the compressor and the value of Sec-WebSocket-Extensions.
 * Neither side keeps a context over a message's end, so that an idle socket needs no memory for it; a client that wants
 * our window to be 256 bytes is declined, since zlib has none of that size.
 */
export function negotiate(
  headers: HeaderBlock,
  maxPayload: number,
): { readonly deflate: Deflate | null; readonly value: string } {
  const lines = headers.getAll("sec-websocket-extensions");
  if (lines.length === 0) return none;
  try {
    const { extension, PerMessageDeflate } = loadFraming();
    const offers = extension.parse(lines.join(","))[name];
    const fitting = offers?.filter(
      ({ server_max_window_bits: bits }) => Number((bits as unknown[])?.[0]) !== 8,
    );
    if (fitting === undefined || fitting.length === 0) return none;
    const deflate = new PerMessageDeflate({
      isServer: true,
      maxPayload,
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      zlibDeflateOptions,
    });
    const accepted = deflate.accept(fitting);
    return { deflate, value: extension.format({ [name]: [accepted] }) };
  } catch {
    // An offer that cannot be understood is declined (RFC 7692 §7.1), and so is the list that it stands in.
    return none;
  }
}

const none = { deflate: null, value: "" };

/** Level 1 costs a third of the default for some 10 % more bytes, and memory level 7 takes 128 KiB in place of 256. */
const zlibDeflateOptions = { level: 1, memLevel: 7 };

/** What is offered when a Worker says nothing of extensions. */
export const defaultOffer = "permessage-deflate; client_max_window_bits";

/** What came of an opening handshake that we began. */
export interface Opened {
  readonly deflate: Deflate | null;
  /** The value of Sec-WebSocket-Extensions in the answer; empty when there is none. */
  readonly extensions: string;
  readonly protocol: string;
}

/**
 * Checks a server's answer (RFC 6455 §4.1, "the client MUST validate").
 *
 * @param request as it was sent. @param key of it. @returns why the answer is refused, as a text.
 */
export function checkAnswer(
  request: HeaderBlock,
  key: string,
  answer: HeaderBlock,
  maxPayload: number,
): Opened | string {
  const accepts = answer.getAll("sec-websocket-accept");
  if (accepts.length !== 1 || accepts[0] !== acceptKey(key)) return "its Sec-WebSocket-Accept is wrong";
  const protocols = answer.getAll("sec-websocket-protocol");
  const protocol = protocols[0] ?? "";
  const offered = offeredProtocols(request) ?? [];
  if (protocols.length > 1 || (protocols.length === 1 && !offered.includes(protocol))) {
    return "its Sec-WebSocket-Protocol was not offered";
  }
  const extensions = answer.getAll("sec-websocket-extensions").join(", ");
  if (extensions === "") return { deflate: null, extensions, protocol };
  const deflate = openedDeflate(request, extensions, maxPayload);
  return typeof deflate === "string" ? deflate : { deflate, extensions, protocol };
}

function openedDeflate(request: HeaderBlock, extensions: string, maxPayload: number): Deflate | string {
  try {
    const { extension, PerMessageDeflate } = loadFraming();
    const offers = extension.parse(request.getAll("sec-websocket-extensions").join(","));
    const answered = extension.parse(extensions);
    const names = Object.keys(answered);
    const accepted = answered[name];
    if (names.length !== 1 || accepted?.length !== 1 || offers[name] === undefined) {
      return "its Sec-WebSocket-Extensions were not offered";
    }
    const parameters = accepted[0] as ExtensionParameters;
    if (!offers[name].some((offer) => answers(parameters, offer))) {
      return "its Sec-WebSocket-Extensions have parameters that were not offered";
    }
    const deflate = new PerMessageDeflate({ isServer: false, maxPayload, zlibDeflateOptions });
    deflate.accept(accepted);
    return deflate;
  } catch {
    return "its Sec-WebSocket-Extensions cannot be understood";
  }
}

/** RFC 7692 §7.1: what a server must have been asked for to answer with it. */
function answers(parameters: ExtensionParameters, offer: ExtensionParameters): boolean {
  if (parameters.client_max_window_bits !== undefined && offer.client_max_window_bits === undefined)
    return false;
  const limit = windowBits(offer.server_max_window_bits);
  if (limit > 0 && !(windowBits(parameters.server_max_window_bits) <= limit)) return false;
  if (limit > 0 && parameters.server_max_window_bits === undefined) return false;
  return (
    offer.server_no_context_takeover === undefined || parameters.server_no_context_takeover !== undefined
  );
}

function windowBits(value: unknown): number {
  return Array.isArray(value) ? Number(value[0]) : 0;
}

/** Our side may compress: a peer that wants a window of 256 bytes gets what it can read, which is uncompressed. */
export function mayCompress(deflate: Deflate | null, isServer: boolean): boolean {
  if (deflate === null) return false;
  return deflate.params?.[isServer ? "server_max_window_bits" : "client_max_window_bits"] !== 8;
}
