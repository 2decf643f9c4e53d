import { JSONParse, ObjectDefineProperty, ReflectGet, ReflectOwnKeys } from "../web/primordials.ts";
import { Fetcher, type Outbound } from "./fetcher.ts";

/** One binding as the host writes it: a service by its number, a value, or the next of the data buffers. */
type BindingRecord =
  | readonly [name: string, kind: "service", binding: number]
  | readonly [name: string, kind: "value", value: unknown]
  | readonly [name: string, kind: "data", index: number];

/**
 * Fills `env`.
 * @param bindings JSON, an array of `BindingRecord`. @param buffers the contents of the data bindings, in their order,
 * from `first` on.
 */
export function fillEnv(
  env: Record<string, unknown>,
  bindings: string,
  buffers: readonly ArrayBuffer[],
  first: number,
  outbound: Outbound,
): void {
  const records = JSONParse(bindings) as BindingRecord[];
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as BindingRecord;
    let value: unknown;
    switch (record[1]) {
      case "service":
        value = new Fetcher(outbound, record[2]);
        break;
      case "value":
        value = record[2];
        break;
      case "data":
        value = buffers[first + record[2]];
        break;
    }
    define(env, record[0], value);
  }
}

/**
 * The `env` of a Worker that stands as a middleware in front of a service: the same bindings, and `next`, which leads to
 * that service. A Worker that stands in several places has one for each, so that it cannot mix them up.
 */
export function envBefore(env: Record<string, unknown>, next: number, outbound: Outbound): object {
  const own: Record<string, unknown> = {};
  const keys = ReflectOwnKeys(env);
  for (let i = 0; i < keys.length; i++) define(own, keys[i] as string, ReflectGet(env, keys[i] as string));
  define(own, "next", new Fetcher(outbound, next));
  return own;
}

function define(env: Record<string, unknown>, name: string, value: unknown): void {
  ObjectDefineProperty(env, name, {
    __proto__: null,
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  } as PropertyDescriptor);
}
