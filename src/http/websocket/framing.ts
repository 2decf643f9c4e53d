import { createRequire } from "node:module";

/** What is used of the library's frame reader beyond a plain Writable; `@types/ws` does not describe it. */
export interface FrameReader {
  on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): this;
  on(event: "ping" | "pong", listener: (data: Buffer) => void): this;
  on(event: "conclude", listener: (code: number, reason: Buffer) => void): this;
  on(event: "error", listener: (error: Error) => void): this;
  /** @param done called when the chunk is read, at once unless something has to be inflated first. */
  _write(chunk: Buffer, encoding: "buffer", done: (error?: FrameError | null) => void): void;
  createError(
    kind: new (message: string) => Error,
    message: string,
    prefix: boolean,
    code: number,
    name: string,
  ): Error;
  haveLength(done: (error?: FrameError | null) => void): void;
  /** Bytes of unfinished frames, and of the message that they belong to. */
  readonly _bufferedBytes: number;
  readonly _messageLength: number;
  readonly _payloadLength: number;
  readonly _state: number;
  /** The opcode of a message of which fragments have come; 0 between messages. */
  readonly _fragmented: number;
}

/** What a frame is refused with; `code` is the library's name for the reason, or zlib's. */
export interface FrameError extends Error {
  readonly code?: string;
}

interface FrameReaderOptions {
  readonly isServer: boolean;
  readonly extensions: Extensions;
  readonly maxPayload: number;
  readonly maxFragments: number;
}

/** Writes frames to a sink; messages that wait to be deflated keep their order. */
export interface FrameWriter {
  send(
    data: string | Uint8Array,
    options: {
      readonly binary: boolean;
      readonly compress: boolean;
      readonly fin: boolean;
      readonly mask: boolean;
    },
  ): void;
  /** @param code none when undefined. @param written called when the frame went to the sink, after all before it. */
  close(code: number | undefined, reason: string, mask: boolean, written: () => void): void;
  /** Bytes of messages that wait to be deflated. */
  readonly _bufferedBytes: number;
}

/** Where a frame writer's output goes. */
export interface FrameSink {
  readonly destroyed: boolean;
  cork(): void;
  uncork(): void;
  write(data: string | Uint8Array, written?: (() => void) | undefined): void;
}

/** RFC 7692's compressor and decompressor of one connection; each context is made when it is first needed. */
export interface Deflate {
  accept(offers: ExtensionParameters[]): ExtensionParameters;
  /** Frees both contexts; they are made anew when they are needed again. */
  cleanup(): void;
  /** What was agreed upon. */
  readonly params: ExtensionParameters | null;
}

export type ExtensionParameters = Record<string, unknown>;
export type Extensions = { readonly "permessage-deflate"?: Deflate };

interface DeflateOptions {
  readonly isServer: boolean;
  readonly maxPayload: number;
  readonly serverNoContextTakeover?: boolean;
  readonly clientNoContextTakeover?: boolean;
  readonly zlibDeflateOptions?: { readonly level?: number; readonly memLevel?: number };
}

interface FrameOptions {
  readonly opcode: number;
  readonly mask: boolean;
  readonly fin: boolean;
  readonly readOnly: boolean;
  readonly rsv1: boolean;
}

interface Library {
  readonly Receiver: new (options: FrameReaderOptions) => FrameReader;
  readonly Sender: {
    new (sink: FrameSink, extensions: Extensions): FrameWriter;
    /** One frame, as its head and maybe its payload. */
    frame(data: Buffer, options: FrameOptions): Uint8Array[];
  };
  readonly PerMessageDeflate: new (options: DeflateOptions) => Deflate;
  readonly extension: {
    /** @throws SyntaxError when it is not a list of extensions (RFC 6455 §9.1). */
    parse(header: string): Record<string, ExtensionParameters[]>;
    format(extensions: Record<string, ExtensionParameters | ExtensionParameters[]>): string;
  };
}

const LENGTH_16 = 1;
const LENGTH_64 = 2;

/** The library's classes, with the reader made strict. */
export interface Framing extends Omit<Library, "Receiver"> {
  readonly Reader: Library["Receiver"];
}

let framing: Framing | null = null;

/** Loaded with the first WebSocket: the library takes a tenth of a shard's time to load. */
export function loadFraming(): Framing {
  if (framing === null) {
    const library = createRequire(import.meta.url)("ws") as Library;
    framing = { ...library, Reader: strict(library.Receiver) };
  }
  return framing;
}

/** The library's reader takes a length in any of its three forms; RFC 6455 §5.2 allows the shortest only. */
function strict(Receiver: Library["Receiver"]): Library["Receiver"] {
  return class StrictReader extends Receiver {
    override haveLength(done: (error?: FrameError | null) => void): void {
      const length = this._payloadLength;
      if ((this._state === LENGTH_16 && length < 126) || (this._state === LENGTH_64 && length < 65_536)) {
        done(this.createError(RangeError, "the length is not minimal", true, 1002, "WS_ERR_INVALID_LENGTH"));
        return;
      }
      super.haveLength(done);
    }
  };
}

/** The close code that tells the peer why its frames were refused (RFC 6455 §7.4.1). */
export function closeCodeOf(error: FrameError): number {
  switch (error.code) {
    case "WS_ERR_INVALID_UTF8":
      return 1007;
    case "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH":
    case "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH":
      return 1009;
    case "WS_ERR_TOO_MANY_BUFFERED_PARTS":
      return 1008;
    default:
      // What does not inflate is no data of the message's type.
      return error.code?.startsWith("Z_") === true ? 1007 : 1002;
  }
}
