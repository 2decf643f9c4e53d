import { JSONParse, ObjectDefineProperty } from "../web/primordials.ts";
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
    ObjectDefineProperty(env, record[0], { value, writable: true, enumerable: true, configurable: true });
  }
}
