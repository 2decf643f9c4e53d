import { part } from "../part.ts";
import { nodeError } from "./errors.ts";

type Members = Record<string, unknown>;

/** Where each of Node's modules is: the part, and the part's export that is the module. */
const places: Readonly<Record<string, readonly [part: string, member: string]>> = {
  async_hooks: ["node-async_hooks", "asyncHooks"],
};

const known = new Map<string, unknown>();

/**
 * What `require` gives for a module of Node's.
 *
 * @param functions names of the functions that Node has there, joined by commas: those that are lacking here are there
 * to say so when they are called, as is all of a module that is not there at all.
 */
export function moduleFor(name: string, functions: string): unknown {
  if (known.has(name)) return known.get(name);
  const place = Object.hasOwn(places, name) ? places[name] : undefined;
  const module = place === undefined ? {} : part<Members>(place[0])[place[1]];
  const members = module as Members;
  for (const key of functions.split(",")) {
    if (key === "" || key in members) continue;
    Object.defineProperty(members, key, {
      value: absent(`${name}.${key}`),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  known.set(name, module);
  return module;
}

/** A function, or a class that may be derived from, which throws when it is used. */
function absent(name: string): unknown {
  function lacking(): never {
    throw nodeError(
      Error,
      "ERR_METHOD_NOT_IMPLEMENTED",
      `cannot use node:${name}: a Worker has no such thing`,
    );
  }
  Object.defineProperty(lacking, "name", { value: name.slice(name.lastIndexOf(".") + 1) });
  return lacking;
}
