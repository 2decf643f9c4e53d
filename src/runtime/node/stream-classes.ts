import { stream } from "../parts/node-stream.ts";

/** What the other modules use of a stream of node:stream that they derive from. */
export interface NodeStream {
  readonly destroyed: boolean;
  push(chunk: unknown): boolean;
  write(chunk: unknown, encoding?: unknown, done?: unknown): boolean;
  end(chunk?: unknown, encoding?: unknown, done?: unknown): this;
  destroy(error?: unknown): this;
  on(name: string, listener: (...parameters: never[]) => void): this;
  once(name: string, listener: (...parameters: never[]) => void): this;
  emit(name: string, ...parameters: unknown[]): boolean;
  listenerCount(name: string): number;
}

type StreamClass = new (options?: object) => NodeStream;

/** What a stream's own methods, `_write` and its like, call back. */
export type StreamDone = (error?: Error | null) => void;

/** A reader of a ReadableStream of bytes. */
export interface ByteReader {
  read(): Promise<{ done: boolean; value?: Uint8Array<ArrayBuffer> }>;
  cancel(reason?: unknown): Promise<void>;
}

export const Readable = stream["Readable"] as unknown as StreamClass;
export const Writable = stream["Writable"] as unknown as StreamClass;
export const Duplex = stream["Duplex"] as unknown as StreamClass;
export const Transform = stream["Transform"] as unknown as StreamClass;
