import { part } from "../part.ts";
import { AbortController, AbortSignal } from "./abort.ts";
import { atob, btoa } from "./base64.ts";
import { Blob, File } from "./blob.ts";
import { freezeClocks, runClock } from "./clock.ts";
import { describeCompatibility } from "./compatibility.ts";
import { confine, confineCode } from "./confine.ts";
import { console } from "./console.ts";
import { Crypto, crypto, SubtleCrypto } from "./crypto.ts";
import { DOMException } from "./dom-exception.ts";
import { TextDecoder, TextEncoder } from "./encoding.ts";
import { CloseEvent, CustomEvent, ErrorEvent, MessageEvent, PromiseRejectionEvent } from "./event-kinds.ts";
import { Event, EventTarget } from "./events.ts";
import { FormData, isFormData } from "./form-data.ts";
import { Headers, isHeaders } from "./headers.ts";
import { queueMicrotask, reportError } from "./microtask.ts";
import { Navigator, navigator } from "./navigator.ts";
import { Performance, performance } from "./performance.ts";
import { ObjectDefineProperty, ReflectOwnKeys } from "./primordials.ts";
import { isRequest, Request } from "./request.ts";
import { isResponse, Response } from "./response.ts";
import { isReadableStream } from "./streams/readable-stream.ts";
import { isTransformStream } from "./streams/transform-stream.ts";
import { isWritableStream } from "./streams/writable-stream.ts";
import {
  ByteLengthQueuingStrategy,
  CountQueuingStrategy,
  FixedLengthStream,
  IdentityTransformStream,
  ReadableByteStreamController,
  ReadableStream,
  ReadableStreamBYOBReader,
  ReadableStreamBYOBRequest,
  ReadableStreamDefaultController,
  ReadableStreamDefaultReader,
  TextDecoderStream,
  TextEncoderStream,
  TransformStream,
  TransformStreamDefaultController,
  WritableStream,
  WritableStreamDefaultController,
  WritableStreamDefaultWriter,
} from "./streams.ts";
import { refuseToClone, structuredClone } from "./structured-clone.ts";
import { clearInterval, clearTimeout, setInterval, setTimeout } from "./timers.ts";
import { provideTransfer } from "./transfer.ts";
import { isURL, URL } from "./url.ts";
import { isURLSearchParams, URLSearchParams } from "./url-search-params.ts";
import { webSocketDefaults } from "./websocket-defaults.ts";

const interfaces = {
  AbortController,
  AbortSignal,
  Blob,
  ByteLengthQueuingStrategy,
  CloseEvent,
  CountQueuingStrategy,
  Crypto,
  CustomEvent,
  DOMException,
  ErrorEvent,
  Event,
  EventTarget,
  File,
  FixedLengthStream,
  FormData,
  Headers,
  IdentityTransformStream,
  MessageEvent,
  Navigator,
  Performance,
  PromiseRejectionEvent,
  ReadableByteStreamController,
  ReadableStream,
  ReadableStreamBYOBReader,
  ReadableStreamBYOBRequest,
  ReadableStreamDefaultController,
  ReadableStreamDefaultReader,
  Request,
  Response,
  SubtleCrypto,
  TextDecoder,
  TextDecoderStream,
  TextEncoder,
  TextEncoderStream,
  TransformStream,
  TransformStreamDefaultController,
  URL,
  URLSearchParams,
  WritableStream,
  WritableStreamDefaultController,
  WritableStreamDefaultWriter,
  console,
};

/** Operations and attributes of the global scope: enumerable, unlike interfaces (Web IDL §3.7.6, §3.7.7). */
const operations = {
  atob,
  btoa,
  clearInterval,
  clearTimeout,
  crypto,
  navigator,
  performance,
  queueMicrotask,
  reportError,
  setInterval,
  setTimeout,
  structuredClone,
};

/** Interfaces that a Worker's first use brings in, by the part that holds them (see part.ts). */
const lazyInterfaces: Readonly<Record<string, string>> = {
  Cache: "cache",
  CacheStorage: "cache",
  caches: "cache",
  CryptoKey: "crypto",
  scheduler: "scheduler",
  MessageChannel: "messaging",
  MessagePort: "messaging",
  CompressionStream: "compression",
  DecompressionStream: "compression",
  HTMLRewriter: "html-rewriter",
  PerformanceEntry: "performance-timeline",
  PerformanceMark: "performance-timeline",
  PerformanceMeasure: "performance-timeline",
  PerformanceObserver: "performance-timeline",
  PerformanceObserverEntryList: "performance-timeline",
  ProgressEvent: "file-reader",
  URLPattern: "url-pattern",
  EventSource: "event-source",
  FileReader: "file-reader",
  WebSocket: "websocket",
  WebSocketPair: "websocket",
};

/** Each is defined by an accessor, which turns into an ordinary property when it is first read or written. */
export function defineLazy(scope: object, names: Readonly<Record<string, string>>): void {
  const keys = ReflectOwnKeys(names) as string[];
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    const settle = (value: unknown): unknown => {
      defineAll(scope, { __proto__: null, [key]: value }, false);
      return value;
    };
    ObjectDefineProperty(scope, key, {
      __proto__: null,
      get: () => settle(part<Record<string, unknown>>(names[key] as string)[key]),
      set: settle,
      enumerable: false,
      configurable: true,
    } as PropertyDescriptor);
  }
}

function defineAll(scope: object, members: Readonly<Record<string, unknown>>, enumerable: boolean): void {
  const keys = ReflectOwnKeys(members) as string[];
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    const value = members[key];
    // Not left to the bundler, which numbers those of the same name.
    if (typeof value === "function" && value.name !== key) {
      ObjectDefineProperty(value, "name", { __proto__: null, value: key } as PropertyDescriptor);
    }
    ObjectDefineProperty(scope, key, {
      __proto__: null,
      value,
      writable: true,
      enumerable,
      configurable: true,
    } as PropertyDescriptor);
  }
}

function messaging(): typeof import("../parts/messaging.ts") {
  return part("messaging");
}

/** What a Worker's config decides about its global scope. */
export interface ScopeOptions {
  /** `eval` and `new Function` make code of text. */
  readonly unsafeEval: boolean;
  /** The clock runs on while code runs. */
  readonly preciseTimers: boolean;
  /** See websocket-defaults.ts. */
  readonly blobSockets: boolean;
  readonly repliedClose: boolean;
  /** The Worker's compatibility flags, with those that its date brings. */
  readonly flags?: readonly string[];
}

/** Fits the global scope to one Worker. Called once after `installGlobals`, before any code of the Worker runs. */
export function applyOptions(scope: Record<string, unknown>, options: ScopeOptions): void {
  if (!options.unsafeEval) confineCode(scope);
  webSocketDefaults.blob = options.blobSockets;
  webSocketDefaults.autoReply = options.repliedClose;
  if (options.preciseTimers) runClock();
  else freezeClocks(scope);
  defineAll(scope, { Cloudflare: describeCompatibility(options.flags ?? []) }, true);
}

/**
 * Makes a bare global scope the Workers' one: the Web platform in, and out what would let a Worker past its limits.
 * Called once, before any code of a Worker runs. Nothing is frozen: it is the Worker's own world.
 */
export function installGlobals(scope: Record<string, unknown>): void {
  confine(scope);
  refuseToClone("Request", isRequest);
  refuseToClone("Response", isResponse);
  refuseToClone("Headers", isHeaders);
  refuseToClone("FormData", isFormData);
  refuseToClone("URL", isURL);
  refuseToClone("URLSearchParams", isURLSearchParams);
  refuseToClone("ReadableStream", isReadableStream);
  refuseToClone("WritableStream", isWritableStream);
  refuseToClone("TransformStream", isTransformStream);
  provideTransfer(isReadableStream, (stream) => new (messaging().ReadableMove)(stream));
  provideTransfer(isWritableStream, (stream) => new (messaging().WritableMove)(stream));
  provideTransfer(isTransformStream, (stream) => new (messaging().TransformMove)(stream));
  defineAll(scope, interfaces, false);
  defineLazy(scope, lazyInterfaces);
  defineAll(scope, operations, true);
  // The origin of code that came from nowhere is opaque (HTML §7.1.1).
  defineAll(scope, { self: scope, origin: "null" }, true);
}
