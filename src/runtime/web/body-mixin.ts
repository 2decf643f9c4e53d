import type { Blob } from "./blob.ts";
import {
  type BodyState,
  consumeArrayBuffer,
  consumeBlob,
  consumeBytes,
  consumeFormData,
  consumeJson,
  consumeText,
} from "./body.ts";
import type { FormData } from "./form-data.ts";
import {
  ObjectDefineProperty,
  promiseReject,
  ReflectGetOwnPropertyDescriptor,
  ReflectOwnKeys,
} from "./primordials.ts";
import type { ReadableStream } from "./streams/readable-stream.ts";

/** How the mixin sees the class that includes it. */
interface Includer<T> {
  /** The name of the interface. */
  readonly name: string;
  is(value: unknown): value is T;
  /** @throws TypeError when the receiver is not one. */
  state(self: T): BodyState | null;
  /** The value of Content-Type, or null. */
  contentType(self: T): string | null;
}

/** Gives a class the members of Fetch §5.3, Body. Called before `defineInterface`. */
export function includeBody<T extends object>(prototype: T, includer: Includer<T>): void {
  const members = {
    get body(): ReadableStream | null {
      const state = includer.state(this as unknown as T);
      return state === null ? null : state.open();
    },
    get bodyUsed(): boolean {
      return includer.state(this as unknown as T)?.disturbed ?? false;
    },
    text(): Promise<string> {
      return includer.is(this) ? consumeText(includer.state(this)) : wrongReceiver("text", includer.name);
    },
    json(): Promise<unknown> {
      return includer.is(this) ? consumeJson(includer.state(this)) : wrongReceiver("json", includer.name);
    },
    bytes(): Promise<Uint8Array> {
      return includer.is(this) ? consumeBytes(includer.state(this)) : wrongReceiver("bytes", includer.name);
    },
    arrayBuffer(): Promise<ArrayBuffer> {
      return includer.is(this)
        ? consumeArrayBuffer(includer.state(this))
        : wrongReceiver("arrayBuffer", includer.name);
    },
    blob(): Promise<Blob> {
      return includer.is(this)
        ? consumeBlob(includer.state(this), includer.contentType(this))
        : wrongReceiver("blob", includer.name);
    },
    formData(): Promise<FormData> {
      return includer.is(this)
        ? consumeFormData(includer.state(this), includer.contentType(this))
        : wrongReceiver("formData", includer.name);
    },
  };
  const keys = ReflectOwnKeys(members);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as PropertyKey;
    ObjectDefineProperty(prototype, key, ReflectGetOwnPropertyDescriptor(members, key) as PropertyDescriptor);
  }
}

function wrongReceiver(what: string, name: string): Promise<never> {
  return promiseReject(new TypeError(`cannot call ${what}: the receiver is not a ${name}`));
}
