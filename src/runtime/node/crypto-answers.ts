import { CALL_NATIVE } from "../../wire/ops.ts";
import { process } from "../parts/node-process.ts";
import { bindFrame } from "../web/async-context.ts";
import { host } from "../web/host.ts";
import type { Done } from "./crypto-streams.ts";
import { validateFunction } from "./errors.ts";

/** Calls back with what `work` gives, later, as Node does. */
export function answer(done: Done, work: () => unknown): void {
  validateFunction(done, "callback");
  let value: unknown;
  try {
    value = work();
  } catch (error) {
    process.nextTick(done as never, error);
    return;
  }
  process.nextTick(done as never, null, value);
}

/** A native on a thread of the host. @param make what the result is to be. */
export function onThread(
  name: string,
  text: string,
  bytes: Uint8Array,
  done: Done,
  make: (text: string, bytes: Uint8Array) => unknown,
): void {
  validateFunction(done, "callback");
  const tell = bindFrame(done);
  host.call(CALL_NATIVE, `${name}\n${text}`, bytes, {
    done: (result, out) => tell(null, make(result, out)),
    failed: (error) => tell(error),
  });
}
