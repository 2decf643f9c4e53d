import { DataViewNative, ReflectConstruct, TypedArrayTag, Uint8ArrayNative } from "./primordials.ts";

type ViewClass = (...args: unknown[]) => unknown;

/** The typed array classes by name, as they were before any Worker code ran. */
const viewClasses = { __proto__: null } as unknown as Record<string, ViewClass>;
for (const name of [
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float16Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
]) {
  const view = (globalThis as Record<string, unknown>)[name];
  if (typeof view === "function") viewClasses[name] = view as ViewClass;
}

/** Makes a view of one kind. @param length in elements. */
export type ViewMaker = (buffer: ArrayBuffer, offset: number, length: number) => ArrayBufferView;

const makeUint8: ViewMaker = (buffer, offset, length) => new Uint8ArrayNative(buffer, offset, length);
const makeDataView: ViewMaker = (buffer, offset, length) => new DataViewNative(buffer, offset, length);

/** What makes views of the kind that `view` is. */
export function makerOf(view: ArrayBufferView): ViewMaker {
  const tag = TypedArrayTag(view);
  if (tag === "Uint8Array") return makeUint8;
  if (tag === undefined) return makeDataView;
  const View = viewClasses[tag] as ViewClass;
  return (buffer, offset, length) => ReflectConstruct(View, [buffer, offset, length]) as ArrayBufferView;
}

/** A typed array of the class of that name; null when there is no such class. @param length in elements. */
export function viewOf(name: string, buffer: ArrayBuffer, offset: number, length: number): object | null {
  const View = viewClasses[name];
  return View === undefined ? null : (ReflectConstruct(View, [buffer, offset, length]) as object);
}
