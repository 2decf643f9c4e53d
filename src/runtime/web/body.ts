import type { HostBody } from "../host-body.ts";
import { type Blob, blobBytes, isBlob, makeBlob } from "./blob.ts";
import { viewBytes } from "./encoding.ts";
import { FormData, formItems, isFormData } from "./form-data.ts";
import { parameter, parseMime, serializeMime } from "./mime.ts";
import { MultipartBody, parseMultipart } from "./multipart.ts";
import {
  ArrayBufferIsView,
  isArrayBuffer,
  JSONParse,
  PromiseThen,
  promiseReject,
  promiseResolve,
  StringCharCodeAt,
  StringSlice,
  StringToLowerCase,
  TypedArraySlice,
} from "./primordials.ts";
import { BytesSource, Consumer } from "./streams/consume.ts";
import { ByteController } from "./streams/readable-bytes.ts";
import { ReadableCore, ReaderCore } from "./streams/readable-core.ts";
import {
  isReadableStream,
  makeReadable,
  type ReadableStream,
  readableCore,
} from "./streams/readable-stream.ts";
import { teeStream } from "./streams/tee.ts";
import { isURLSearchParams, serializeParams, type URLSearchParams } from "./url-search-params.ts";
import { parseUrlencodedBytes } from "./urlencoded.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";
import { toUSVString } from "./webidl.ts";

export type BodyInit =
  | ReadableStream
  | Blob
  | ArrayBuffer
  | ArrayBufferView
  | FormData
  | URLSearchParams
  | string;

export type BodyKind = "text" | "bytes" | "stream" | "host";

/**
 * The body of one Request or Response (Fetch §2.2.4), in the form it was given in: nothing is encoded, copied or made
 * into a stream before somebody asks for it in that form.
 */
export class BodyState {
  kind: BodyKind;
  text: string;
  bytes: Uint8Array | null;
  host: HostBody | null;
  /** Made when `body` is read; for kind `stream`, there from the start. */
  stream: ReadableStream | null;
  /** Read, or moved to another object. */
  used = false;
  /** The bytes belong to a Blob or to a clone as well. */
  shared = false;

  constructor(
    kind: BodyKind,
    text: string,
    bytes: Uint8Array | null,
    host: HostBody | null,
    stream: ReadableStream | null,
  ) {
    this.kind = kind;
    this.text = text;
    this.bytes = bytes;
    this.host = host;
    this.stream = stream;
  }

  get disturbed(): boolean {
    return this.used || (this.stream !== null && readableCore(this.stream).disturbed);
  }

  get unusable(): boolean {
    if (this.used) return true;
    if (this.stream === null) return false;
    const core = readableCore(this.stream);
    return core.disturbed || core.locked;
  }

  /** The `body` attribute. */
  open(): ReadableStream {
    if (this.stream !== null) return this.stream;
    if (this.kind === "host" && !this.used) {
      const host = this.host as HostBody;
      this.stream = host.stream();
      readableCore(this.stream).origin = host;
      return this.stream;
    }
    const core = new ReadableCore();
    let bytes = this.kind === "text" ? encodeUtf8(this.text) : this.bytes;
    if (bytes !== null && this.shared) bytes = TypedArraySlice(bytes, 0);
    if (bytes === null || this.used) bytes = encodeUtf8("");
    core.length = bytes.length;
    new ByteController(core, new BytesSource(core, bytes), 0, 0).start(null);
    this.stream = makeReadable(core);
    if (this.used) retire(core);
    return this.stream;
  }

  /** Takes the content away from whoever else holds the stream, which ends and stays locked. */
  claim(): void {
    this.used = true;
    if (this.kind !== "stream" && this.stream !== null) retire(readableCore(this.stream));
  }

  /** Another state with the same content; this one is then used. */
  move(): BodyState {
    const moved = new BodyState(this.kind, this.text, this.bytes, this.host, this.stream);
    moved.shared = this.shared;
    this.used = true;
    return moved;
  }

  /** Fetch §2.2.4, clone: both yield everything. */
  clone(): BodyState {
    if (this.kind === "host") {
      const branches = (this.host as HostBody).tee();
      if (this.stream !== null) retire(readableCore(this.stream));
      this.stream = null;
      this.host = branches[0];
      return new BodyState("host", "", null, branches[1], null);
    }
    if (this.kind === "stream") {
      const source = readableCore(this.stream as ReadableStream);
      const tee = teeStream(source);
      tee.first.length = source.length;
      tee.second.length = source.length;
      this.stream = makeReadable(tee.first);
      return new BodyState("stream", "", null, null, makeReadable(tee.second));
    }
    if (this.stream !== null) {
      retire(readableCore(this.stream));
      this.stream = null;
    }
    this.shared = true;
    const copy = new BodyState(this.kind, this.text, this.bytes, null, null);
    copy.shared = true;
    return copy;
  }

  /** All bytes, in an array that nobody else has. */
  readBytes(): Promise<Uint8Array> {
    switch (this.kind) {
      case "text":
        this.claim();
        return promiseResolve(encodeUtf8(this.text));
      case "bytes": {
        this.claim();
        const bytes = this.bytes as Uint8Array;
        return promiseResolve(this.shared ? TypedArraySlice(bytes, 0) : bytes);
      }
      case "host":
        this.claim();
        return (this.host as HostBody).bytes();
      case "stream":
        this.used = true;
        return new Consumer(readableCore(this.stream as ReadableStream)).promise;
    }
  }

  readText(): Promise<string> {
    switch (this.kind) {
      case "text": {
        this.claim();
        const text = toUSVString(this.text);
        return promiseResolve(StringCharCodeAt(text, 0) === 0xfeff ? StringSlice(text, 1) : text);
      }
      case "host":
        this.claim();
        return (this.host as HostBody).text();
      default:
        return PromiseThen(this.readBytes(), decodeUtf8);
    }
  }
}

function retire(core: ReadableCore): void {
  core.disturbed = true;
  if (core.reader === null) new ReaderCore(core, false);
  if (core.state === "readable") core.close();
}

/** The content type that extraction found, "" for none; read right after `extractBody`. */
export let extractedType = "";

/** Fetch §2.2.5, extract a body. */
export function extractBody(value: unknown): BodyState {
  if (typeof value === "string") {
    extractedType = "text/plain;charset=UTF-8";
    return new BodyState("text", value, null, null, null);
  }
  extractedType = "";
  if (isReadableStream(value)) return extractStream(value);
  if (isURLSearchParams(value)) {
    extractedType = "application/x-www-form-urlencoded;charset=UTF-8";
    return new BodyState("text", serializeParams(value), null, null, null);
  }
  if (isBlob(value)) {
    extractedType = value.type;
    const state = new BodyState("bytes", "", blobBytes(value), null, null);
    state.shared = true;
    return state;
  }
  if (isFormData(value)) {
    const form = new MultipartBody(value);
    extractedType = form.contentType;
    return new BodyState("bytes", "", form.bytes, null, null);
  }
  if (ArrayBufferIsView(value) || isArrayBuffer(value)) {
    return new BodyState("bytes", "", TypedArraySlice(viewBytes(value, "body"), 0), null, null);
  }
  const text = toUSVString(value);
  extractedType = "text/plain;charset=UTF-8";
  return new BodyState("text", text, null, null, null);
}

/** A stream over a host's body that nobody has touched stands for that body: its bytes need not come in. */
function extractStream(stream: ReadableStream): BodyState {
  const core = readableCore(stream);
  if (core.disturbed || core.locked) {
    throw new TypeError("cannot use body: the stream is locked or was read from");
  }
  if (core.origin !== null) return new BodyState("host", "", null, core.origin as HostBody, stream);
  return new BodyState("stream", "", null, null, stream);
}

function unusable(): Promise<never> {
  return promiseReject(new TypeError("cannot read the body: it was used already, or is locked to a reader"));
}

export function consumeText(body: BodyState | null): Promise<string> {
  if (body === null) return promiseResolve("");
  return body.unusable ? unusable() : body.readText();
}

export function consumeJson(body: BodyState | null): Promise<unknown> {
  return PromiseThen(consumeText(body), (text) => JSONParse(text) as unknown);
}

export function consumeBytes(body: BodyState | null): Promise<Uint8Array> {
  if (body === null) return promiseResolve(encodeUtf8(""));
  return body.unusable ? unusable() : body.readBytes();
}

export function consumeArrayBuffer(body: BodyState | null): Promise<ArrayBuffer> {
  return PromiseThen(consumeBytes(body), (bytes) => {
    const { buffer } = bytes;
    if (bytes.length === buffer.byteLength) return buffer as ArrayBuffer;
    return TypedArraySlice(bytes, 0).buffer as ArrayBuffer;
  });
}

export function consumeBlob(body: BodyState | null, contentType: string | null): Promise<Blob> {
  const type = contentType === null ? null : parseMime(contentType);
  return PromiseThen(consumeBytes(body), (bytes) =>
    makeBlob(bytes, type === null ? "" : StringToLowerCase(serializeMime(type))),
  );
}

export function consumeFormData(body: BodyState | null, contentType: string | null): Promise<FormData> {
  return PromiseThen(consumeBytes(body), (bytes) => {
    const type = contentType === null ? null : parseMime(contentType);
    if (type?.essence === "multipart/form-data") {
      const boundary = parameter(type.parameters, "boundary");
      const form = boundary === null ? null : parseMultipart(bytes, boundary);
      if (form === null) throw new TypeError("cannot read form data: the multipart body is malformed");
      return form;
    }
    if (type?.essence === "application/x-www-form-urlencoded") {
      const form = new FormData();
      const items = formItems(form);
      const pairs = parseUrlencodedBytes(bytes);
      for (let i = 0; i < pairs.length; i++) items[i] = pairs[i] as string;
      return form;
    }
    throw new TypeError("cannot read form data: Content-Type is neither multipart nor urlencoded");
  });
}

/** What a body is when it leaves the isolate. */
export type BodyParts =
  | { readonly kind: "none" }
  | { readonly kind: "text"; readonly text: string }
  /** Not to be changed: a Blob or a clone may hold them too. */
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** A body of the host that nobody has touched. */
  | { readonly kind: "handle"; readonly body: HostBody }
  /** Not locked yet. @param length bytes, or -1 when not known. */
  | { readonly kind: "stream"; readonly stream: ReadableStream; readonly length: number };

const noBody: BodyParts = { kind: "none" };

/** Takes the content out for good. @throws TypeError when it was used already, or is locked. */
export function takeBody(body: BodyState | null): BodyParts {
  if (body === null) return noBody;
  if (body.unusable) {
    throw new TypeError("cannot send the body: it was used already, or is locked to a reader");
  }
  body.claim();
  switch (body.kind) {
    case "text":
      return { kind: "text", text: body.text };
    case "bytes":
      return { kind: "bytes", bytes: body.bytes as Uint8Array };
    case "host":
      return { kind: "handle", body: body.host as HostBody };
    case "stream": {
      const stream = body.stream as ReadableStream;
      return { kind: "stream", stream, length: readableCore(stream).length };
    }
  }
}
