import { btoa } from "../web/base64.ts";
import { type Blob, blobBytes, isBlob } from "../web/blob.ts";
import { DOMException } from "../web/dom-exception.ts";
import { TextDecoder } from "../web/encoding.ts";
import { dispatch, EventTarget, getHandler, markTrusted, setHandler } from "../web/events.ts";
import { parameter, parseMime } from "../web/mime.ts";
import {
  ArrayJoin,
  ArrayPush,
  MathMin,
  PromiseThen,
  promiseResolve,
  ReflectApply,
  StringFromCharCode,
  TypedArraySlice,
  TypedArraySubarray,
} from "../web/primordials.ts";
import { defineConstants, defineInterface, requireArguments } from "../web/webidl.ts";
import { ProgressEvent } from "./progress-event.ts";

const EMPTY = 0;
const LOADING = 1;
const DONE = 2;

const settled = promiseResolve(undefined);

/** File API §6.2. A Blob's bytes are there already, so each step of a read is a turn of its own and nothing more. */
export class FileReader extends EventTarget {
  #state = EMPTY;
  #result: string | ArrayBuffer | null = null;
  #error: DOMException | null = null;
  /** Counts reads, so that the steps of one that was aborted find that they are. */
  #read = 0;

  get readyState(): number {
    return this.#state;
  }

  get result(): string | ArrayBuffer | null {
    return this.#result;
  }

  get error(): DOMException | null {
    return this.#error;
  }

  readAsArrayBuffer(blob: Blob): void {
    requireArguments(arguments.length, 1, "readAsArrayBuffer");
    this.#start(blob, (bytes) => TypedArraySlice(bytes, 0).buffer as ArrayBuffer);
  }

  readAsBinaryString(blob: Blob): void {
    requireArguments(arguments.length, 1, "readAsBinaryString");
    this.#start(blob, binaryString);
  }

  readAsText(blob: Blob, encoding?: string): void {
    requireArguments(arguments.length, 1, "readAsText");
    const label = encoding === undefined ? null : `${encoding}`;
    this.#start(blob, (bytes, type) => decode(bytes, label, type));
  }

  readAsDataURL(blob: Blob): void {
    requireArguments(arguments.length, 1, "readAsDataURL");
    this.#start(blob, (bytes, type) => {
      return `data:${type === "" ? "application/octet-stream" : type};base64,${btoa(binaryString(bytes))}`;
    });
  }

  abort(): void {
    if (this.#state !== LOADING) {
      this.#result = null;
      return;
    }
    this.#state = DONE;
    this.#result = null;
    this.#read++;
    this.#error = new DOMException("The read was aborted", "AbortError");
    this.#fire("abort", 0, 0);
    if ((this.#state as number) !== LOADING) this.#fire("loadend", 0, 0);
  }

  #start(blob: unknown, give: (bytes: Uint8Array, type: string) => string | ArrayBuffer): void {
    if (!isBlob(blob)) throw new TypeError("cannot read: blob is not a Blob");
    if (this.#state === LOADING) {
      throw new DOMException("cannot read: a read is under way", "InvalidStateError");
    }
    this.#state = LOADING;
    this.#result = null;
    this.#error = null;
    const bytes = blobBytes(blob);
    const { type } = blob;
    const total = bytes.length;
    const read = ++this.#read;
    this.#later(read, () => {
      this.#fire("loadstart", 0, total);
      this.#later(read, () => {
        if (total > 0) this.#fire("progress", total, total);
        this.#later(read, () => this.#end(() => give(bytes, type), total));
      });
    });
  }

  #later(read: number, step: () => void): void {
    PromiseThen(settled, () => {
      if (this.#read === read) step();
    });
  }

  #end(give: () => string | ArrayBuffer, total: number): void {
    let failed = false;
    try {
      this.#result = give();
    } catch (error) {
      failed = true;
      this.#error = new DOMException(String((error as Error).message), "NotReadableError");
    }
    this.#state = DONE;
    this.#fire(failed ? "error" : "load", total, total);
    if ((this.#state as number) !== LOADING) this.#fire("loadend", total, total);
  }

  #fire(type: string, loaded: number, total: number): void {
    const event = new ProgressEvent(type, { lengthComputable: total > 0, loaded, total });
    markTrusted(event);
    dispatch(this, event);
  }

  get onloadstart(): unknown {
    return getHandler(this, "loadstart");
  }

  set onloadstart(value: unknown) {
    setHandler(this, "loadstart", value);
  }

  get onprogress(): unknown {
    return getHandler(this, "progress");
  }

  set onprogress(value: unknown) {
    setHandler(this, "progress", value);
  }

  get onload(): unknown {
    return getHandler(this, "load");
  }

  set onload(value: unknown) {
    setHandler(this, "load", value);
  }

  get onabort(): unknown {
    return getHandler(this, "abort");
  }

  set onabort(value: unknown) {
    setHandler(this, "abort", value);
  }

  get onerror(): unknown {
    return getHandler(this, "error");
  }

  set onerror(value: unknown) {
    setHandler(this, "error", value);
  }

  get onloadend(): unknown {
    return getHandler(this, "loadend");
  }

  set onloadend(value: unknown) {
    setHandler(this, "loadend", value);
  }
}

function binaryString(bytes: Uint8Array): string {
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += 4096) {
    const piece = TypedArraySubarray(bytes, at, MathMin(at + 4096, bytes.length));
    ArrayPush(pieces, ReflectApply(StringFromCharCode, undefined, piece as unknown as number[]));
  }
  return ArrayJoin(pieces, "");
}

/** File API §6.4: a byte order mark decides, then the label, then the charset of the type, then UTF-8. */
function decode(bytes: Uint8Array, label: string | null, type: string): string {
  const marked = markedEncoding(bytes);
  if (marked !== null) return new TextDecoder(marked).decode(bytes);
  const decoder = decoderOf(label) ?? decoderOf(charsetOf(type)) ?? new TextDecoder();
  return decoder.decode(bytes);
}

function decoderOf(label: string | null): TextDecoder | null {
  if (label === null) return null;
  try {
    return new TextDecoder(label);
  } catch {
    return null;
  }
}

function charsetOf(type: string): string | null {
  const mime = parseMime(type);
  return mime === null ? null : parameter(mime.parameters, "charset");
}

function markedEncoding(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return "utf-8";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : null;
}

defineInterface(FileReader, "FileReader", 0, {
  readAsArrayBuffer: 1,
  readAsBinaryString: 1,
  readAsText: 1,
  readAsDataURL: 1,
});
defineConstants(FileReader, { EMPTY, LOADING, DONE });
