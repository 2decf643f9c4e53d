import * as wire from "../../wire/websocket-ops.ts";
import type { RecordReader } from "../bridge/rpc-link.ts";
import { ArrayPush, TypedArrayLength, TypedArraySet, Uint8ArrayNative } from "../web/primordials.ts";
import { refuseToClone } from "../web/structured-clone.ts";
import { knownSocket } from "../websocket/socket-core.ts";
import { coreOf, isWebSocket, type WebSocket } from "../websocket/websocket.ts";

export { fetchedSocket, isWebSocket, WebSocket, WebSocketPair } from "../websocket/websocket.ts";

refuseToClone("WebSocket", isWebSocket);

/** Pieces of the message that is coming. */
let pieces: Uint8Array[] = [];
let piecesSize = 0;

/** Acts on a record from the host. @param at the place of its op. @returns the place of the next */
export function receive(ints: Int32Array, at: number, reader: RecordReader): number {
  const socket = knownSocket(ints[at + 1] as number);
  const second = ints[at + 2] as number;
  const third = ints[at + 3] as number;
  switch (ints[at]) {
    case wire.IN_WS_TEXT: {
      const text = reader.text(second);
      socket?.message(text);
      return at + 3;
    }
    case wire.IN_WS_PIECE: {
      const piece = reader.bytes(second, third);
      piecesSize += TypedArrayLength(piece);
      ArrayPush(pieces, piece);
      return at + 4;
    }
    case wire.IN_WS_BYTES: {
      const bytes = whole(reader.bytes(second, third));
      socket?.message(bytes);
      return at + 4;
    }
    case wire.IN_WS_CLOSE: {
      const reason = reader.text(third);
      socket?.closed(second, reason);
      return at + 4;
    }
    case wire.IN_WS_FAILED: {
      const message = reader.text(third);
      socket?.failed(second, message);
      return at + 4;
    }
    case wire.IN_WS_BUFFERED:
      if (socket !== undefined) socket.backlog = second;
      return at + 3;
    default:
      throw new Error(`cannot read the batch: unknown record ${ints[at]}`);
  }
}

function whole(last: Uint8Array): Uint8Array<ArrayBuffer> {
  if (pieces.length === 0) return last as Uint8Array<ArrayBuffer>;
  const bytes = new Uint8ArrayNative(piecesSize + TypedArrayLength(last));
  let at = 0;
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i] as Uint8Array;
    TypedArraySet(bytes, piece, at);
    at += TypedArrayLength(piece);
  }
  TypedArraySet(bytes, last, at);
  pieces = [];
  piecesSize = 0;
  return bytes;
}

/** Answers `exchange` with a response's WebSocket. @throws TypeError when the socket cannot be given away */
export function answer(exchange: number, webSocket: unknown, statusText: string, headers: string): void {
  if (!coreOf(webSocket as WebSocket).give(exchange, statusText, headers)) {
    throw new TypeError(
      "cannot answer with the WebSocket: it was accepted, closed, made with a URL, or used in another response",
    );
  }
}
