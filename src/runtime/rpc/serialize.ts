import { CAP_BODY, CAP_EXPORT, CAP_IMPORT, MAX_CAPS, MAX_MESSAGE } from "../../wire/rpc-ops.ts";
import { isRpcTarget } from "../bridge/entrypoint.ts";
import { type Blob, blobBytes, type File, isBlob, isFile } from "../web/blob.ts";
import { type BodyParts, extractBody, takeBody } from "../web/body.ts";
import { DOMException, isDOMException } from "../web/dom-exception.ts";
import { isHeaders, toBlock } from "../web/headers.ts";
import {
  ArrayBufferByteLength,
  ArrayBufferDetached,
  ArrayIsArray,
  ArrayPush,
  BigIntToString,
  DateGetTime,
  isArrayBuffer,
  JSONStringify,
  MapForEach,
  MapGet,
  MapNative,
  MapSet,
  MapSize,
  ObjectGetPrototypeOf,
  ObjectHasOwn,
  ObjectIsEnumerable,
  ObjectPrototype,
  ReflectApply,
  ReflectOwnKeys,
  RegExpFlags,
  RegExpPrototype,
  RegExpSource,
  SetForEach,
  SetSize,
  SymbolDispose,
  TypedArrayLength,
  TypedArrayTag,
  Uint8ArrayNative,
  viewBuffer,
  viewLength,
  viewOffset,
} from "../web/primordials.ts";
import { isRequest, type Request, takeRequestParts } from "../web/request.ts";
import { isResponse, type Response, takeResponseParts } from "../web/response.ts";
import { isReadableStream, type ReadableStream } from "../web/streams/readable-stream.ts";
import { isWritableStream, type WritableStream, writableCore } from "../web/streams/writable-stream.ts";
import { isError, unwrapPrimitive } from "../web/structured-clone.ts";
import { accepts, isObject, quote } from "../web/webidl.ts";
import { type Disposer, OutMessage } from "./message.ts";
import { sinkOf } from "./sink.ts";
import { type StubData, stubData } from "./targets.ts";

/** Characters, of two bytes each on their way. */
const MAX_TEXT = MAX_MESSAGE / 2;

/**
 * Writes values as a message. Its text is JSON: an array whose first item is the value, and whose others are the objects
 * that it leads to, each once, so that circles and things named twice stay what they are. Where a value stands, there is
 * a string, number, boolean or null as it is, `[n]` for the n-th object, or `[letter, …]` for what JSON cannot say.
 *
 * The text is put together here and not by JSON.stringify, which would ask what a Worker has added to prototypes.
 */
export class Serializer {
  readonly message: OutMessage = new OutMessage();
  /** Stubs among the values. */
  readonly stubs: StubData[] = [];
  readonly #places: Map<object, number> = new MapNative();
  readonly #objects: object[] = [];

  /** @throws DataCloneError for what does not go over RPC, and whatever the Worker's accessors throw. */
  run(value: unknown): OutMessage {
    const { message } = this;
    let text = `[${this.#value(value)}`;
    // The list grows as it is gone through: depth is not bound by the stack.
    for (let i = 0; i < this.#objects.length; i++) text += `,${this.#object(this.#objects[i] as object)}`;
    message.text = `${text}]`;
    // Before it crosses: what the host is given at once is bounded, and a guest that gives it more is ended.
    if (message.text.length + message.size > MAX_MESSAGE || message.text.length > MAX_TEXT) {
      throw cannotSend("values of more than 32 MiB");
    }
    if (message.caps.length > MAX_CAPS)
      throw cannotSend(`more than ${MAX_CAPS} functions, objects and streams`);
    return message;
  }

  #value(value: unknown): string {
    switch (typeof value) {
      case "string":
        if (value.length > MAX_TEXT) throw cannotSend("values of more than 32 MiB");
        return JSONStringify(value);
      case "number":
        if (value === 0) return 1 / value > 0 ? "0" : '["0"]';
        return value - value === 0 ? `${value}` : `["f","${value}"]`;
      case "boolean":
        return value ? "true" : "false";
      case "undefined":
        return '["u"]';
      case "bigint":
        return `["i","${BigIntToString(value, 16)}"]`;
      case "symbol":
        throw cannotSend("a symbol");
    }
    if (value === null) return "null";
    let place = MapGet(this.#places, value as object);
    if (place === undefined) {
      place = ArrayPush(this.#objects, value as object);
      MapSet(this.#places, value as object, place);
    }
    return `[${place}]`;
  }

  #object(value: object): string {
    const data = stubData.get(value);
    if (data !== undefined) return this.#stub(data);
    if (typeof value === "function") return this.#export(value);
    if (isRpcTarget(value)) return this.#export(value);
    if (ArrayIsArray(value)) return this.#array(value);
    if (ObjectGetPrototypeOf(value) === ObjectPrototype && !isError(value)) return this.#members(value);
    return this.#data(value) ?? this.#web(value) ?? refuse(value);
  }

  #stub(data: StubData): string {
    if (data.kind !== "stub") {
      throw cannotSend(
        data.kind === "promise" ? "an RpcPromise; await it first" : "an RpcProperty; await it first",
      );
    }
    if (data.disposed) throw new Error("cannot send the RPC stub: it was disposed of");
    ArrayPush(this.stubs, data);
    return `["c",${this.message.addCap({ kind: CAP_IMPORT, target: data.callee })}]`;
  }

  #export(value: object): string {
    return `["c",${this.message.addCap({ kind: CAP_EXPORT, value, disposer: disposerOf(value) })}]`;
  }

  #array(value: readonly unknown[]): string {
    const { length } = value;
    let text = "";
    const keys = ReflectOwnKeys(value);
    // All of them, and `length` itself.
    if (keys.length === length + 1) {
      for (let i = 0; i < length; i++) text += `,${this.#value(value[i])}`;
      return `["a"${text}]`;
    }
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      if (typeof key !== "string" || !ObjectIsEnumerable(value, key)) continue;
      text += `,${JSONStringify(key)},${this.#value((value as unknown as Record<string, unknown>)[key])}`;
    }
    return `["s",${length}${text}]`;
  }

  #members(value: object): string {
    let text = "";
    const keys = ReflectOwnKeys(value);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      if (typeof key !== "string" || !ObjectIsEnumerable(value, key)) continue;
      text += `,${JSONStringify(key)},${this.#value((value as Record<string, unknown>)[key])}`;
    }
    return `["o"${text}]`;
  }

  /** What the language itself has. */
  #data(value: object): string | null {
    if (isArrayBuffer(value)) {
      if (ArrayBufferDetached(value)) throw cannotSend("a detached ArrayBuffer");
      return `["b",${this.#bytes(new Uint8ArrayNative(value), ArrayBufferByteLength(value))}]`;
    }
    const tag = TypedArrayTag(value);
    if (tag !== undefined) return this.#view(tag, value as ArrayBufferView, TypedArrayLength(value));
    if (accepts(viewOffset as never, value)) {
      return this.#view("DataView", value as DataView, viewLength(value as DataView));
    }
    if (accepts(DateGetTime, value)) return `["d",${this.#value(DateGetTime(value))}]`;
    if (accepts(MapSize, value)) {
      let text = "";
      MapForEach(value as Map<unknown, unknown>, (item, key) => {
        text += `,${this.#value(key)},${this.#value(item)}`;
      });
      return `["m"${text}]`;
    }
    if (accepts(SetSize, value)) {
      let text = "";
      SetForEach(value as Set<unknown>, (item) => {
        text += `,${this.#value(item)}`;
      });
      return `["t"${text}]`;
    }
    if (isDOMException(value)) {
      return `["x",${JSONStringify(value.name)},${JSONStringify(value.message)}]`;
    }
    if (isError(value)) return errorText(value, ObjectHasOwn(value, "cause"), (cause) => this.#value(cause));
    if (value !== RegExpPrototype && accepts(RegExpSource, value)) {
      return `["r",${JSONStringify(RegExpSource(value))},${JSONStringify(RegExpFlags(value))}]`;
    }
    const wrapped = unwrapPrimitive(value);
    return wrapped === undefined ? null : `["w",${this.#value(wrapped)}]`;
  }

  /** What the Web platform has. */
  #web(value: object): string | null {
    if (isFile(value)) {
      const { name, type, lastModified } = value as File;
      const bytes = this.#blob(value as File);
      return `["F",${bytes},${JSONStringify(type)},${JSONStringify(name)},${lastModified}]`;
    }
    if (isBlob(value)) return `["B",${this.#blob(value as Blob)},${JSONStringify((value as Blob).type)}]`;
    if (isHeaders(value)) return `["H",${JSONStringify(toBlock(value))}]`;
    if (isReadableStream(value)) return `["R",${this.#body(streamParts(value))}]`;
    if (isWritableStream(value)) return this.#writable(value);
    if (isRequest(value)) return this.#request(value);
    if (isResponse(value)) return this.#response(value);
    return null;
  }

  #request(request: Request): string {
    const { method, url, headers, redirect, body } = takeRequestParts(request);
    const head = `${JSONStringify(method)},${JSONStringify(url)},${JSONStringify(headers)}`;
    return `["Q",${head},"${redirect}",${this.#body(body)}]`;
  }

  #response(response: Response): string {
    if (response.status < 200) throw cannotSend(`a Response with status ${response.status}`);
    const { status, statusText, headers, body } = takeResponseParts(response);
    return `["P",${status},${JSONStringify(statusText)},${JSONStringify(headers)},${this.#body(body)}]`;
  }

  #writable(stream: WritableStream): string {
    if (writableCore(stream).locked)
      throw new TypeError("cannot send the WritableStream: it is locked to a writer");
    const sink = sinkOf(stream);
    return `["W",${this.message.addCap({ kind: CAP_EXPORT, value: sink.object, disposer: sink.dispose })}]`;
  }

  #body(parts: BodyParts): string {
    switch (parts.kind) {
      case "none":
        return "null";
      case "text":
        return JSONStringify(parts.text);
      case "bytes":
        return `["y",${this.#bytes(parts.bytes, TypedArrayLength(parts.bytes))}]`;
      default:
        return `["c",${this.message.addCap({ kind: CAP_BODY, body: parts })}]`;
    }
  }

  #view(tag: string, view: ArrayBufferView, length: number): string {
    const buffer = viewBuffer(view);
    if (ArrayBufferDetached(buffer)) throw cannotSend("a view of a detached ArrayBuffer");
    return `["v","${tag}",${this.#value(buffer)},${viewOffset(view)},${length}]`;
  }

  #blob(blob: Blob): string {
    const bytes = blobBytes(blob);
    return this.#bytes(bytes, TypedArrayLength(bytes));
  }

  #bytes(bytes: Uint8Array, length: number): string {
    return `${this.message.addBytes(bytes, length)},${length}`;
  }
}

/** What is thrown as a message, which always can be made. The stack stays here: it names files of this Worker. */
export function serializeThrown(error: unknown): OutMessage {
  const message = new OutMessage();
  try {
    if (isDOMException(error)) {
      message.text = `[[1],["x",${JSONStringify(error.name)},${JSONStringify(error.message)}]]`;
    } else if (isObject(error) && isError(error)) {
      message.text = `[[1],${errorText(error, false, () => "")}]`;
    } else return new Serializer().run(error);
  } catch {
    message.text = '[[1],["e","Error","the method threw what cannot be sent"]]';
  }
  return message;
}

function errorText(error: object, hasCause: boolean, write: (value: unknown) => string): string {
  const { name, message, cause } = error as { name?: unknown; message?: unknown; cause?: unknown };
  const head = `["e",${JSONStringify(`${(name ?? "Error") as string}`)},${JSONStringify(`${(message ?? "") as string}`)}`;
  return hasCause ? `${head},${write(cause)}]` : `${head}]`;
}

/** What an object wants done when nobody holds it any more. @returns null when it wants nothing */
export function disposerOf(value: object): Disposer {
  const dispose = (value as { [Symbol.dispose]?: unknown })[SymbolDispose];
  if (typeof dispose !== "function") return null;
  return () => {
    ReflectApply(dispose as never, value, []);
  };
}

function streamParts(stream: ReadableStream): BodyParts {
  return takeBody(extractBody(stream));
}

function refuse(value: object): never {
  const { constructor: made } = value as { constructor?: unknown };
  const name = typeof made === "function" ? (made as { name?: unknown }).name : undefined;
  throw cannotSend(
    typeof name === "string" && name !== "" && ObjectGetPrototypeOf(value) !== null
      ? `an object of class ${quote(name)}, which does not extend RpcTarget`
      : "an object without a class",
  );
}

function cannotSend(what: string): DOMException {
  return new DOMException(`cannot send over RPC: ${what}`, "DataCloneError");
}
