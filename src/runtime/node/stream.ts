import library from "readable-stream/lib/stream.js";
import { Buffer } from "../parts/node-buffer.ts";
import { process } from "../parts/node-process.ts";
import { ReadableStream, WritableStream } from "../web/streams.ts";
import { AbortError, invalidType, validateNumber } from "./errors.ts";

/** A stream of npm's readable-stream, as far as this file uses it. */
interface NodeStream {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly destroyed: boolean;
  readonly readableEnded: boolean;
  readonly readableObjectMode: boolean;
  readonly readableHighWaterMark: number;
  readonly writableHighWaterMark: number;
  readonly writableObjectMode: boolean;
  readonly writableNeedDrain: boolean;
  on(name: string, listener: (value: never) => void): this;
  once(name: string, listener: (value: never) => void): this;
  off(name: string, listener: (value: never) => void): this;
  pause(): void;
  resume(): void;
  push(chunk: unknown): boolean;
  write(chunk: unknown, done?: (error?: Error) => void): boolean;
  end(done?: () => void): void;
  destroy(error?: unknown): void;
}

type StreamClass = (new (options?: object) => NodeStream) & Record<string, unknown>;

interface Library {
  Readable: StreamClass;
  Writable: StreamClass;
  Duplex: StreamClass;
  finished(stream: unknown, options: object, done: (error?: Error) => void): () => void;
  promises: Record<string, unknown>;
}

const streams = library as unknown as Library & Record<string, unknown>;
const { Readable, Writable, Duplex } = streams;

interface WebOptions {
  objectMode?: boolean;
  highWaterMark?: number;
  encoding?: string;
  signal?: unknown;
  strategy?: { highWaterMark?: number };
}

interface Reader {
  read(): Promise<{ done: boolean; value?: unknown }>;
  cancel(reason?: unknown): Promise<void>;
  readonly closed: Promise<void>;
}

interface Writer {
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
  write(chunk: unknown): Promise<void>;
  close(): Promise<void>;
  abort(reason?: unknown): Promise<void>;
}

/** How a reader of a Web stream fills a Node stream. */
function reading(reader: Reader): object {
  return {
    read(this: NodeStream): void {
      reader.read().then(
        ({ done, value }) => this.push(done ? null : value),
        (error: unknown) => this.destroy(error),
      );
    },
  };
}

function writing(writer: Writer): object {
  return {
    write(chunk: unknown, _encoding: unknown, done: (error?: unknown) => void): void {
      writer.ready.then(() => writer.write(chunk)).then(() => done(), done);
    },
    final(done: (error?: unknown) => void): void {
      writer.close().then(() => done(), done);
    },
  };
}

function ignore(): void {}

function fromWebReadable(source: unknown, options: WebOptions = {}): NodeStream {
  if (!(source instanceof ReadableStream))
    throw invalidType("readableStream", "an instance of ReadableStream", source);
  const reader = source.getReader() as unknown as Reader;
  return new Readable({
    ...options,
    ...reading(reader),
    destroy(error: unknown, done: (error?: unknown) => void) {
      reader.cancel(error ?? undefined).then(ignore, ignore);
      done(error);
    },
  });
}

function fromWebWritable(sink: unknown, options: WebOptions = {}): NodeStream {
  if (!(sink instanceof WritableStream))
    throw invalidType("writableStream", "an instance of WritableStream", sink);
  const writer = sink.getWriter() as unknown as Writer;
  writer.closed.catch(ignore);
  const made = new Writable({
    ...options,
    ...writing(writer),
    destroy(error: unknown, done: (error?: unknown) => void) {
      if (error) writer.abort(error).then(ignore, ignore);
      done(error);
    },
  });
  writer.closed.catch((error: unknown) => made.destroy(error));
  return made;
}

function fromWebPair(pair: unknown, options: WebOptions = {}): NodeStream {
  const { readable, writable } = (pair ?? {}) as { readable?: unknown; writable?: unknown };
  if (!(readable instanceof ReadableStream))
    throw invalidType("pair.readable", "an instance of ReadableStream", readable);
  if (!(writable instanceof WritableStream))
    throw invalidType("pair.writable", "an instance of WritableStream", writable);
  const reader = readable.getReader() as unknown as Reader;
  const writer = writable.getWriter() as unknown as Writer;
  writer.closed.catch(ignore);
  return new Duplex({
    ...options,
    ...reading(reader),
    ...writing(writer),
    destroy(error: unknown, done: (error?: unknown) => void) {
      reader.cancel(error ?? undefined).then(ignore, ignore);
      if (error) writer.abort(error).then(ignore, ignore);
      done(error);
    },
  });
}

interface Controller {
  readonly desiredSize: number | null;
  enqueue(chunk: unknown): void;
  close(): void;
  error(reason: unknown): void;
}

/** A Web stream of bytes gets plain Uint8Arrays: a Buffer would say more than the standard does. */
function plain(chunk: unknown): unknown {
  return chunk instanceof Uint8Array && chunk.constructor !== Uint8Array
    ? new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    : chunk;
}

function toWebReadable(stream: NodeStream, options: WebOptions = {}): ReadableStream {
  if (typeof stream?.on !== "function") throw invalidType("streamReadable", "an stream.Readable", stream);
  if (stream.destroyed) {
    const empty = new ReadableStream();
    void empty.cancel();
    return empty;
  }
  const highWaterMark =
    options.strategy?.highWaterMark ?? (stream.readableObjectMode ? stream.readableHighWaterMark : 1);
  let controller: Controller;
  let _isOver = false;
  const finish = streams.finished(stream, { writable: false }, (failure) => {
    finish();
    stream.on("error", ignore);
    const code = (failure as { code?: string } | undefined)?.code;
    if (failure === undefined || failure === null) controller.close();
    else
      controller.error(
        code === "ERR_STREAM_PREMATURE_CLOSE" ? new AbortError(undefined, { cause: failure }) : failure,
      );
  });
  return new ReadableStream(
    {
      start(made: unknown) {
        controller = made as Controller;
        stream.pause();
        stream.on("data", (chunk: unknown) => {
          controller.enqueue(plain(chunk));
          if ((controller.desiredSize ?? 0) <= 0) stream.pause();
        });
        stream.pause();
      },
      pull() {
        stream.resume();
      },
      cancel(reason: unknown) {
        _isOver = true;
        stream.destroy(reason);
      },
    },
    { highWaterMark },
  );
}

function toWebWritable(stream: NodeStream): WritableStream {
  if (typeof stream?.write !== "function") throw invalidType("streamWritable", "an stream.Writable", stream);
  let drained: (() => void) | null = null;
  let controller: Controller;
  const finish = streams.finished(stream, { readable: false }, (failure) => {
    finish();
    stream.on("error", ignore);
    if (failure !== undefined && failure !== null) controller.error(failure);
    drained?.();
  });
  stream.on("drain", () => {
    drained?.();
    drained = null;
  });
  return new WritableStream(
    {
      start(made: unknown) {
        controller = made as Controller;
      },
      write(chunk: unknown): Promise<void> | undefined {
        if (stream.write(chunk)) return undefined;
        return new Promise((resolve) => {
          drained = resolve;
        });
      },
      abort(reason: unknown) {
        stream.destroy(reason);
      },
      close(): Promise<void> {
        return new Promise((resolve) => stream.end(() => resolve()));
      },
    },
    { highWaterMark: stream.writableObjectMode ? stream.writableHighWaterMark : 1 },
  );
}

function duplexPair(options?: object): [NodeStream, NodeStream] {
  const sides: NodeStream[] = [];
  const waiting: ((() => void) | null)[] = [null, null];
  for (const own of [0, 1]) {
    const other = 1 - own;
    sides.push(
      new Duplex({
        ...options,
        read() {
          const resume = waiting[own];
          waiting[own] = null;
          resume?.();
        },
        write(chunk: unknown, _encoding: unknown, done: () => void) {
          if ((chunk as { length?: number }).length === 0) process.nextTick(done);
          else {
            (sides[other] as NodeStream).push(chunk);
            waiting[other] = done;
          }
        },
        final(done: () => void) {
          (sides[other] as NodeStream).on("end", done);
          (sides[other] as NodeStream).push(null);
        },
      }),
    );
  }
  return sides as [NodeStream, NodeStream];
}

Object.assign(Readable, { fromWeb: fromWebReadable, toWeb: toWebReadable });
Object.assign(Writable, { fromWeb: fromWebWritable, toWeb: toWebWritable });
Object.assign(Duplex, {
  fromWeb: fromWebPair,
  toWeb: (stream: NodeStream) => ({ readable: toWebReadable(stream), writable: toWebWritable(stream) }),
});

for (const { prototype } of [Readable, Writable] as unknown as { prototype: NodeStream }[]) {
  Object.defineProperty(prototype, Symbol.asyncDispose, {
    value(this: NodeStream): Promise<void> {
      const error = this.readableEnded === true ? null : new AbortError();
      if (!this.destroyed) this.destroy(error);
      return new Promise((resolve, reject) => {
        streams.finished(this, {}, (failure) =>
          failure === undefined || failure === null || failure === error ? resolve() : reject(failure),
        );
      });
    },
    writable: true,
    configurable: true,
  });
}

const marks = { bytes: 16384, objects: 16 };
Object.assign(streams, {
  duplexPair,
  getDefaultHighWaterMark: (objects: boolean): number => (objects ? marks.objects : marks.bytes),
  setDefaultHighWaterMark(objects: boolean, value: number): void {
    validateNumber(value, "value", 0);
    if (objects) marks.objects = value;
    else marks.bytes = value;
  },
});

/** node:stream, with the classes of npm's readable-stream. */
export const stream: Library & Record<string, unknown> = streams;
export const promises: Record<string, unknown> = streams.promises;

async function collect(source: AsyncIterable<unknown>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const encoder = new TextEncoder();
  for await (const chunk of source) {
    const bytes =
      typeof chunk === "string"
        ? encoder.encode(chunk)
        : ArrayBuffer.isView(chunk)
          ? new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
          : new Uint8Array(chunk as ArrayBuffer);
    chunks.push(bytes);
    size += bytes.length;
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

declare const TextEncoder: new () => { encode(text: string): Uint8Array };
declare const TextDecoder: new () => { decode(bytes: Uint8Array): string };
declare const Blob: new (parts: unknown[]) => object;

const text = async (source: AsyncIterable<unknown>): Promise<string> =>
  new TextDecoder().decode(await collect(source));

/** node:stream/consumers. */
export const consumers = {
  arrayBuffer: async (source: AsyncIterable<unknown>): Promise<unknown> => (await collect(source)).buffer,
  blob: async (source: AsyncIterable<unknown>): Promise<object> => new Blob([await collect(source)]),
  buffer: async (source: AsyncIterable<unknown>): Promise<unknown> => Buffer((await collect(source)).buffer),
  bytes: collect,
  json: async (source: AsyncIterable<unknown>): Promise<unknown> => JSON.parse(await text(source)),
  text,
};

const webNames = [
  "ByteLengthQueuingStrategy",
  "CompressionStream",
  "CountQueuingStrategy",
  "DecompressionStream",
  "ReadableByteStreamController",
  "ReadableStream",
  "ReadableStreamBYOBReader",
  "ReadableStreamBYOBRequest",
  "ReadableStreamDefaultController",
  "ReadableStreamDefaultReader",
  "TextDecoderStream",
  "TextEncoderStream",
  "TransformStream",
  "TransformStreamDefaultController",
  "WritableStream",
  "WritableStreamDefaultController",
  "WritableStreamDefaultWriter",
];

/** node:stream/web: the globals of those names. */
export const web: Record<string, unknown> = {};
for (const name of webNames) {
  Object.defineProperty(web, name, {
    get: () => (globalThis as unknown as Record<string, unknown>)[name],
    enumerable: true,
    configurable: true,
  });
}
