import { CAP_BODY, CAP_IMPORT, CAP_OUT } from "../../wire/rpc-ops.ts";
import type { HandleBody } from "../bridge/handle-body.ts";
import { Table } from "../bridge/table.ts";
import { makeBlob, makeFile } from "../web/blob.ts";
import type { BodyParts } from "../web/body.ts";
import { DOMException } from "../web/dom-exception.ts";
import { fromBlock, type Headers } from "../web/headers.ts";
import {
  ArrayIsArray,
  ArrayPush,
  BigIntNative,
  DataViewNative,
  DateNative,
  JSONParse,
  MapNative,
  MapSet,
  ObjectDefineProperty,
  RegExpNative,
  SetAdd,
  SetNative,
  StringSlice,
  TypedArrayLength,
  TypedArraySlice,
  viewBuffer,
} from "../web/primordials.ts";
import { Request } from "../web/request.ts";
import { Response } from "../web/response.ts";
import { type ReadableStream, readableCore } from "../web/streams/readable-stream.ts";
import { errorClasses, wrapPrimitive } from "../web/structured-clone.ts";
import { viewOf } from "../web/view-classes.ts";
import type { InCap, InMessage } from "./message.ts";
import { writableOf } from "./sink.ts";
import { makeStub } from "./stubs.ts";
import { disposeStub, type RemoteObject, type StubData } from "./targets.ts";

type Entry = readonly unknown[];
type ErrorClass = new (message?: string) => Error;

/** Reads a message. Its text comes from another isolate's runtime, which may be one that its Worker has broken. */
export class Deserializer {
  /** Stubs that were made for it. */
  readonly stubs: StubData[] = [];
  /** Objects that came with it, for which there is no stub: they are held until the value is disposed of. */
  readonly objects: RemoteObject[] = [];
  readonly #message: InMessage;
  #entries: readonly unknown[] = [];
  #copied = 0;
  readonly #made: Table<{ readonly value: unknown }> = new Table();
  /** Places of the capabilities that a value was made for. */
  readonly #used: Table<true> = new Table();

  constructor(message: InMessage) {
    this.#message = message;
  }

  /** @throws Error when it is not well formed; what came with it is then let go of. */
  run(): unknown {
    try {
      return this.#read();
    } catch (error) {
      this.#holdRest();
      for (let i = 0; i < this.stubs.length; i++) disposeStub(this.stubs[i] as StubData);
      for (let i = 0; i < this.objects.length; i++) (this.objects[i] as RemoteObject).release();
      throw error;
    }
  }

  #read(): unknown {
    const entries = JSONParse(this.#message.text) as unknown;
    if (!ArrayIsArray(entries) || entries.length === 0) throw malformed();
    this.#entries = entries;
    for (let i = 1; i < entries.length; i++) this.#object(i);
    for (let i = 1; i < entries.length; i++) this.#fill(entries[i] as Entry, this.#object(i));
    this.#holdRest();
    return this.#value(entries[0]);
  }

  #holdRest(): void {
    const { caps } = this.#message;
    for (let i = 0; i < caps.length; i++) {
      const cap = caps[i] as InCap;
      if (this.#used.get(i) === true) continue;
      this.#used.set(i, true);
      if (cap.kind === CAP_IMPORT) ArrayPush(this.objects, cap.target.hold());
      else if (cap.kind === CAP_BODY) cap.body.cancel();
    }
  }

  #value(token: unknown): unknown {
    if (!ArrayIsArray(token)) {
      if (typeof token === "object" && token !== null) throw malformed();
      return token;
    }
    const first = token[0] as unknown;
    if (typeof first === "number") return this.#object(first);
    switch (first) {
      case "u":
        return undefined;
      case "0":
        return -0;
      case "f":
        return +text(token, 1);
      case "i":
        return toBigInt(text(token, 1));
      default:
        throw malformed();
    }
  }

  /** The n-th object; members of those that hold others are filled in later. */
  #object(index: number): unknown {
    if (!(index >= 1 && index < this.#entries.length) || index !== index >>> 0) throw malformed();
    const known = this.#made.get(index);
    if (known !== undefined) return known.value;
    const entry = this.#entries[index];
    if (!ArrayIsArray(entry)) throw malformed();
    const made = this.#make(entry);
    this.#made.set(index, { value: made });
    return made;
  }

  #make(entry: Entry): unknown {
    switch (entry[0]) {
      case "o":
        return {};
      case "a":
        return [];
      case "s": {
        const list: unknown[] = [];
        list.length = count(entry, 1);
        return list;
      }
      case "m":
        return new MapNative();
      case "t":
        return new SetNative();
      case "d":
        return new DateNative(+(this.#value(entry[1]) as number));
      case "r":
        return new RegExpNative(text(entry, 1), text(entry, 2));
      case "b":
        return viewBuffer(this.#bytes(entry, 1));
      case "v":
        return this.#view(entry);
      case "w": {
        const value = this.#value(entry[1]);
        if (typeof value === "object" || value === undefined) throw malformed();
        return wrapPrimitive(value);
      }
      case "e":
        return makeError(text(entry, 1), text(entry, 2));
      case "x":
        return new DOMException(text(entry, 2), text(entry, 1));
      case "c": {
        const { stub, data } = makeStub(this.#target(entry[1]));
        ArrayPush(this.stubs, data);
        return stub;
      }
      default:
        return this.#web(entry);
    }
  }

  #web(entry: Entry): unknown {
    switch (entry[0]) {
      case "B":
        return makeBlob(this.#bytes(entry, 1), text(entry, 3));
      case "F":
        return makeFile(this.#bytes(entry, 1), text(entry, 4), text(entry, 3), +(entry[5] as number));
      case "H":
        return fromBlock(text(entry, 1), "none");
      case "R": {
        const body = this.#body(entry[1]);
        return typeof body === "object" && body !== null ? body : new Response(body as string).body;
      }
      case "W": {
        const { data } = makeStub(this.#target(entry[1]));
        ArrayPush(this.stubs, data);
        return writableOf(data);
      }
      case "Q":
        return this.#request(entry);
      case "P": {
        const headers = fromBlock(text(entry, 3), "none");
        const init = { __proto__: null, status: count(entry, 1), statusText: text(entry, 2), headers };
        return new Response(withoutType(this.#body(entry[4]), headers) as never, init as never);
      }
      default:
        throw malformed();
    }
  }

  #request(entry: Entry): Request {
    const headers = fromBlock(text(entry, 3), "none");
    const body = withoutType(this.#body(entry[5]), headers);
    const init = { __proto__: null, method: text(entry, 1), headers, redirect: text(entry, 4), body };
    return new Request(text(entry, 2), init as never);
  }

  /** A text, bytes, a stream, or null. */
  #body(token: unknown): unknown {
    if (token === null || typeof token === "string") return token;
    if (!ArrayIsArray(token)) throw malformed();
    if (token[0] === "y") return this.#bytes(token, 1);
    const place = token[1] as number;
    const cap = this.#cap(place);
    if (cap.kind === CAP_OUT) return localBody(cap.body);
    if (cap.kind !== CAP_BODY) throw malformed();
    this.#used.set(place, true);
    const stream = cap.body.stream();
    // As long as nobody reads it, it is handed on as it lies on the host.
    readableCore(stream).origin = cap.body;
    return stream;
  }

  #target(place: unknown): RemoteObject {
    const cap = this.#cap(place);
    if (cap.kind !== CAP_IMPORT) throw malformed();
    this.#used.set(place as number, true);
    return cap.target;
  }

  #cap(place: unknown): InCap {
    const { caps } = this.#message;
    if (typeof place !== "number" || !(place >= 0 && place < caps.length)) throw malformed();
    return caps[place] as InCap;
  }

  /** A fresh copy of bytes of the message. */
  #bytes(entry: Entry, at: number): Uint8Array {
    const from = count(entry, at);
    const length = count(entry, at + 1);
    // Each byte is copied once: a message must not grow as it is read.
    this.#copied += length;
    const size = TypedArrayLength(this.#message.bytes);
    if (from + length > size || this.#copied > size) throw malformed();
    return TypedArraySlice(this.#message.bytes, from, from + length);
  }

  #view(entry: Entry): object {
    const buffer = this.#value(entry[2]) as ArrayBuffer;
    const tag = text(entry, 1);
    const offset = count(entry, 3);
    const length = count(entry, 4);
    // A wrong buffer or length is a TypeError or RangeError of the constructors.
    if (tag === "DataView") return new DataViewNative(buffer, offset, length);
    const view = viewOf(tag, buffer, offset, length);
    if (view === null) throw malformed();
    return view;
  }

  #fill(entry: Entry, made: unknown): void {
    switch (entry[0]) {
      case "a":
        for (let i = 1; i < entry.length; i++) define(made as object, i - 1, this.#value(entry[i]));
        return;
      case "o":
      case "s":
        for (let i = entry[0] === "o" ? 1 : 2; i + 1 < entry.length; i += 2) {
          define(made as object, text(entry, i), this.#value(entry[i + 1]));
        }
        return;
      case "m":
        for (let i = 1; i + 1 < entry.length; i += 2) {
          MapSet(made as Map<unknown, unknown>, this.#value(entry[i]), this.#value(entry[i + 1]));
        }
        return;
      case "t":
        for (let i = 1; i < entry.length; i++) SetAdd(made as Set<unknown>, this.#value(entry[i]));
        return;
      case "e":
        if (entry.length > 3) hide(made as object, "cause", this.#value(entry[3]));
        return;
    }
  }
}

function define(holder: object, key: PropertyKey, value: unknown): void {
  const descriptor = { __proto__: null, value, writable: true, enumerable: true, configurable: true };
  ObjectDefineProperty(holder, key, descriptor as PropertyDescriptor);
}

function hide(holder: object, key: PropertyKey, value: unknown): void {
  const descriptor = { __proto__: null, value, writable: true, configurable: true };
  ObjectDefineProperty(holder, key, descriptor as PropertyDescriptor);
}

function makeError(name: string, message: string): Error {
  const Known = errorClasses[name];
  const error = new (Known ?? (errorClasses["Error"] as ErrorClass))(message);
  if (Known === undefined) hide(error, "name", name);
  return error;
}

function localBody(parts: BodyParts): ReadableStream {
  if (parts.kind === "stream") return parts.stream;
  if (parts.kind === "handle") return (parts.body as HandleBody).stream();
  throw malformed();
}

/** Bytes, so that the constructor puts no type of its own into the headers, when there is none. */
function withoutType(body: unknown, headers: Headers): unknown {
  if (typeof body !== "string" || headers.get("content-type") !== null) return body;
  const bytes = new Response(body).body;
  return bytes;
}

/** Of hexadecimal digits, which take time in proportion to their number, unlike decimal ones. */
function toBigInt(digits: string): bigint {
  return digits[0] === "-" ? -BigIntNative(`0x${StringSlice(digits, 1)}`) : BigIntNative(`0x${digits}`);
}

function text(entry: Entry, at: number): string {
  const value = entry[at];
  if (typeof value !== "string") throw malformed();
  return value;
}

function count(entry: Entry, at: number): number {
  const value = entry[at];
  if (typeof value !== "number" || value !== value >>> 0) throw malformed();
  return value;
}

function malformed(): Error {
  return new Error("cannot read what came over RPC: it is not well formed");
}
