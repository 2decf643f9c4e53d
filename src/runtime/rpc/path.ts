import { isRpcTarget } from "../bridge/entrypoint.ts";
import {
  ArrayIsArray,
  ArraySlice,
  ObjectGetPrototypeOf,
  ObjectHasOwn,
  ObjectPrototype,
  ReflectGetOwnPropertyDescriptor,
} from "../web/primordials.ts";
import { isObject, quote } from "../web/webidl.ts";
import { type StubData, stubData } from "./targets.ts";

/** What lies at the end of a path. */
export type Found =
  | { readonly stub: null; readonly self: unknown; readonly value: unknown }
  /** The path leads through a stub, which has to be asked for the rest. */
  | { readonly stub: StubData; readonly rest: readonly string[] };

/** What the root of a path shows of itself. */
export type RootKind = "value" | "entrypoint" | "handlers";

/** Names that never lead to a method of an entrypoint: the runtime itself calls them, or workerd's does. */
const reserved = {
  __proto__: null,
  fetch: true,
  connect: true,
  alarm: true,
  webSocketMessage: true,
  webSocketClose: true,
  webSocketError: true,
} as unknown as Readonly<Record<string, true | undefined>>;

/**
 * Goes from a value down a path, as far as callers may look: the methods and accessors of an RpcTarget's class, but
 * nothing that an instance has of its own; the own members of plain objects, arrays and functions.
 *
 * @throws TypeError when there is no such member, or what the Worker's accessors throw.
 */
export function follow(root: unknown, path: readonly string[], kind: RootKind): Found {
  let self: unknown;
  let value = root;
  for (let i = 0; i < path.length; i++) {
    const data = isObject(value) ? stubData.get(value) : undefined;
    if (data !== undefined) return { stub: data, rest: ArraySlice(path, i) };
    self = value;
    value = member(value, path[i] as string, i === 0 ? kind : "value");
  }
  return { stub: null, self, value };
}

function member(holder: unknown, name: string, kind: RootKind): unknown {
  if (name === "constructor" || name === "dup" || (kind !== "value" && reserved[name] === true)) {
    throw new TypeError(`cannot call ${quote(name)}: the name is reserved and not for RPC`);
  }
  if (!isObject(holder)) throw notThere(name);
  if (kind === "entrypoint" || isRpcTarget(holder)) {
    // What an instance holds is private, whoever forgot to say so.
    if (ReflectGetOwnPropertyDescriptor(holder, name) !== undefined) throw notThere(name);
    const value = (holder as Record<string, unknown>)[name];
    if (value === undefined || value === (ObjectPrototype as Record<string, unknown>)[name]) {
      throw notThere(name);
    }
    return value;
  }
  if (!isOpen(holder) || !ObjectHasOwn(holder, name) || (typeof holder === "function" && hidden(name))) {
    throw notThere(name);
  }
  return (holder as Record<string, unknown>)[name];
}

/** A value whose own members go over RPC. */
function isOpen(holder: object): boolean {
  return (
    typeof holder === "function" || ArrayIsArray(holder) || ObjectGetPrototypeOf(holder) === ObjectPrototype
  );
}

function hidden(name: string): boolean {
  return name === "prototype" || name === "arguments" || name === "caller";
}

function notThere(name: string): TypeError {
  return new TypeError(`cannot find ${quote(name)}: the RPC receiver does not implement it`);
}
