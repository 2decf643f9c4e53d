/**
 * Parts of the runtime that few Workers use lie outside the main bundle and come into an isolate when they are first
 * asked for: each is a module in `parts/`, compiled with V8's code cache like the bundle itself. Modules that the main
 * bundle holds are shared with its parts, so that there is one `ReadableStream` and one table of private state.
 */

type Exports = Readonly<Record<string, unknown>>;
/** What a part's script evaluates to. */
type PartFactory = (shared: (module: string) => Exports, load: (name: string) => Exports) => Exports;

const loaded = { __proto__: null } as unknown as Record<string, Exports>;
let sharedModules: (module: string) => Exports = () => missing("module");
let loadScript: (name: string) => void = () => {};
let arrived: PartFactory | null = null;

/** Called by the bundle's own entry, which the loader writes: gives the main bundle's modules by their path. */
export function setShared(shared: (module: string) => Exports): void {
  sharedModules = shared;
}

/** @param load has the host run a part's script and call `definePart` with what it evaluates to, before it returns. */
export function setPartLoader(load: (name: string) => void): void {
  loadScript = load;
}

/** Entered by the host while `load` runs. */
export function definePart(factory: PartFactory): void {
  arrived = factory;
}

/**
 * The exports of the module `parts/<name>.ts`, which is loaded when it is not there yet.
 *
 * @throws Error when there is none of that name.
 */
export function part<T>(name: string): T {
  return partExports(name) as T;
}

function partExports(name: string): Exports {
  const known = loaded[name];
  if (known !== undefined) return known;
  arrived = null;
  loadScript(name);
  const factory = arrived as PartFactory | null;
  if (factory === null) return missing(name);
  arrived = null;
  const exports = factory(sharedModules, partExports);
  loaded[name] = exports;
  return exports;
}

function missing(name: string): never {
  throw new Error(`cannot load ${name}: the runtime has no such part`);
}
