import { ON_ENTRYPOINT } from "../../wire/rpc-ops.ts";
import type { RecordReader } from "../bridge/rpc-link.ts";
import { LocalObject } from "../rpc/local.ts";
import { Peer } from "../rpc/peer.ts";
import { disposerOf } from "../rpc/serialize.ts";
import { makeProperty, makeStub } from "../rpc/stubs.ts";
import { isObject } from "../web/webidl.ts";

const peer = new Peer();

/** A stub for something of this isolate (`new RpcStub(target)`). @throws TypeError for what is no object */
export function localStub(target: unknown): object {
  if (!isObject(target))
    throw new TypeError("cannot make an RpcStub: target is neither an object nor a function");
  return makeStub(new LocalObject(target, disposerOf(target))).stub;
}

/** `env.NAME.member`: a method of a bound Worker's entrypoint, or one of its accessors. @param binding its number. */
export function bindingMember(binding: number, name: string): object {
  return makeProperty(
    { owner: 0, invoke: (path, args) => peer.send(ON_ENTRYPOINT, binding, 0, path, args) },
    [name],
  );
}

/** Acts on a record from the host. @param at the place of its op. @returns the place of the next */
export function receive(ints: Int32Array, at: number, reader: RecordReader): number {
  return peer.receive(ints, at, reader);
}
