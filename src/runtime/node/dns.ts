import { CALL_DNS } from "../../wire/ops.ts";
import { net } from "../parts/node-net.ts";
import { process } from "../parts/node-process.ts";
import { bindFrame } from "../web/async-context.ts";
import { host } from "../web/host.ts";
import { invalidType, notImplemented, validateFunction, validateString } from "./errors.ts";

interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

interface LookupOptions {
  family?: number | string;
  all?: boolean;
}

const none = new Uint8Array(0);

function failure(code: string, call: string, hostname: string): Error {
  return Object.assign(new Error(`${call} ${code} ${hostname}`), {
    code,
    errno: code === "ENOTFOUND" ? -3008 : undefined,
    syscall: call,
    hostname,
  });
}

/** Addresses that the Worker could reach, as its outbound service's resolver knows them. */
function addressesOf(hostname: string, call: string): Promise<Address[]> {
  const literal = net.isIP(hostname);
  if (literal !== 0) return Promise.resolve([{ address: hostname, family: literal as 4 | 6 }]);
  return new Promise((resolve, reject) => {
    host.call(CALL_DNS, hostname, none, {
      done: (text) => {
        const found = JSON.parse(text) as string[];
        resolve(found.map((address) => ({ address, family: net.isIP(address) as 4 | 6 })));
      },
      failed: (error) => reject(failure(error.message, call, hostname)),
    });
  });
}

function optionsOf(given: unknown): Required<LookupOptions> {
  const options: LookupOptions =
    typeof given === "number" ? { family: given } : ((given ?? {}) as LookupOptions);
  const { family = 0, all = false } = options;
  const number = family === "IPv4" ? 4 : family === "IPv6" ? 6 : family;
  if (number !== 0 && number !== 4 && number !== 6)
    throw invalidType("options.family", "one of 0, 4 or 6", family);
  return { family: number, all };
}

async function lookupAll(hostname: string, family: number | string): Promise<Address[]> {
  const found = (await addressesOf(hostname, "getaddrinfo")).filter(
    (one) => family === 0 || one.family === family,
  );
  if (found.length === 0) throw failure("ENOTFOUND", "getaddrinfo", hostname);
  return found;
}

type LookupDone = (error: Error | null, address?: string | Address[], family?: number) => void;

function lookup(hostname: string, given: unknown, callback?: LookupDone): void {
  const done = (typeof given === "function" ? given : callback) as LookupDone;
  validateFunction(done, "callback");
  if (hostname) validateString(hostname, "hostname");
  const { family, all } = optionsOf(typeof given === "function" ? {} : given);
  const tell = bindFrame(done);
  lookupAll(hostname, family).then(
    (found) => {
      const [first] = found;
      process.nextTick(() => (all ? tell(null, found) : tell(null, first?.address as string, first?.family)));
    },
    (error: unknown) => process.nextTick(() => tell(error as Error)),
  );
}

async function resolveFamily(hostname: string, family: 4 | 6): Promise<string[]> {
  validateString(hostname, "name");
  const call = family === 4 ? "queryA" : "queryAaaa";
  const found = (await addressesOf(hostname, call)).filter((one) => one.family === family);
  if (found.length === 0) throw failure("ENODATA", call, hostname);
  return found.map(({ address }) => address);
}

function absentRecord(type: string): never {
  throw notImplemented(`dns.resolve() for ${type}: the outbound service resolves names to addresses alone`);
}

async function resolveAny(hostname: string, type = "A"): Promise<string[]> {
  if (type === "A") return resolveFamily(hostname, 4);
  return type === "AAAA" ? resolveFamily(hostname, 6) : absentRecord(type);
}

/** The same with a callback. */
function called(work: (...parameters: never[]) => Promise<unknown>) {
  return (...parameters: unknown[]): void => {
    const done = parameters.pop() as (error: Error | null, value?: unknown) => void;
    validateFunction(done, "callback");
    const tell = bindFrame(done);
    work(...(parameters.filter((one) => typeof one === "string") as never[])).then(
      (value) => process.nextTick(() => tell(null, value)),
      (error: unknown) => process.nextTick(() => tell(error as Error)),
    );
  };
}

const codes = {
  NODATA: "ENODATA",
  NOTFOUND: "ENOTFOUND",
  NOTIMP: "ENOTIMP",
  REFUSED: "EREFUSED",
  SERVFAIL: "ESERVFAIL",
  TIMEOUT: "ETIMEOUT",
};
const settings = {
  ...codes,
  ADDRCONFIG: 1024,
  ALL: 256,
  V4MAPPED: 2048,
  getDefaultResultOrder: (): string => "verbatim",
  getServers: (): string[] => [],
  setDefaultResultOrder(): void {},
  setServers(): void {},
};

class PromisesResolver {
  readonly resolve = resolveAny;
  readonly resolve4 = (hostname: string): Promise<string[]> => resolveFamily(hostname, 4);
  readonly resolve6 = (hostname: string): Promise<string[]> => resolveFamily(hostname, 6);
  readonly getServers = settings.getServers;
  readonly setServers = settings.setServers;
  cancel(): void {}
}

class Resolver {
  readonly resolve = called(resolveAny);
  readonly resolve4 = called((hostname: string) => resolveFamily(hostname, 4));
  readonly resolve6 = called((hostname: string) => resolveFamily(hostname, 6));
  readonly getServers = settings.getServers;
  readonly setServers = settings.setServers;
  cancel(): void {}
}

/** node:dns/promises. */
export const promises = {
  ...settings,
  Resolver: PromisesResolver,
  async lookup(hostname: string, given?: unknown): Promise<Address | Address[]> {
    const { family, all } = optionsOf(given);
    const found = await lookupAll(hostname, family);
    return all ? found : (found[0] as Address);
  },
  resolve: resolveAny,
  resolve4: (hostname: string): Promise<string[]> => resolveFamily(hostname, 4),
  resolve6: (hostname: string): Promise<string[]> => resolveFamily(hostname, 6),
};

/** node:dns. Names lead to the addresses that the Worker's outbound service permits. */
export const dns = {
  ...settings,
  Resolver,
  lookup,
  promises,
  resolve: called(resolveAny),
  resolve4: called((hostname: string) => resolveFamily(hostname, 4)),
  resolve6: called((hostname: string) => resolveFamily(hostname, 6)),
};
Object.defineProperty(lookup, Symbol.for("nodejs.util.promisify.custom"), { value: promises.lookup });
