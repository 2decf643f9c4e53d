import type { BodySource } from "../body.ts";
import type { ByteStream, StreamSink } from "../exchange.ts";
import type { Deflate } from "./framing.ts";
import { joinEnds, type MessageEnd } from "./message-end.ts";
import type { SocketSettings } from "./settings.ts";
import { WireSocket } from "./wire-socket.ts";

/**
 * A WebSocket as the answer to an exchange. Whoever takes it as a stream of bytes gets frames; another Worker takes the
 * end itself, and then nothing is framed.
 */
export class OfferedSocket implements ByteStream {
  readonly #settings: SocketSettings;
  readonly #deflate: Deflate | null;
  #end: MessageEnd | null;
  #wire: WireSocket | null = null;

  constructor(end: MessageEnd, deflate: Deflate | null, settings: SocketSettings) {
    this.#end = end;
    this.#deflate = deflate;
    this.#settings = settings;
  }

  get readable(): BodySource {
    return this.#frames().readable;
  }

  get writable(): StreamSink {
    return this.#frames().writable;
  }

  /** The end, for someone who has another to join it with; null when it was taken. */
  take(): MessageEnd | null {
    const end = this.#end;
    this.#end = null;
    return end;
  }

  #frames(): WireSocket {
    if (this.#wire !== null) return this.#wire;
    const wire = new WireSocket(true, this.#deflate, this.#settings);
    this.#wire = wire;
    const end = this.take();
    if (end !== null) joinEnds(end, wire);
    return wire;
  }
}
