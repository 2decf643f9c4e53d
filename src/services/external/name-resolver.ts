import type { promises as dns } from "node:dns";
import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import type { ResolveConfig } from "../../config/schema/upstream.ts";

/** What a name leads to. */
export interface Resolution {
  /** IP addresses, each once; never empty. */
  readonly addresses: readonly string[];
  /** Milliseconds for which the answer holds; null when nobody said. */
  readonly ttlMs: number | null;
}

/** How long one DNS server is waited for, and how often each is asked. */
const queryMs = 2_000;
const queryTries = 2;

const hostsFile = "/etc/hosts";

/**
 * Finds the addresses of names with their TTL. The hosts file comes first, as for every program of the machine; then
 * DNS is asked for A and AAAA; and a name that DNS does not know as it stands goes to the system's resolver, which also
 * knows search domains and whatever else the machine is set up with, but tells no TTL.
 */
export class NameResolver {
  readonly #servers: readonly string[];
  #dns: dns.Resolver | null = null;

  constructor(config: ResolveConfig) {
    this.#servers = config.servers;
  }

  /** @throws Error of the resolver, with its `code` */
  async resolve(host: string): Promise<Resolution> {
    const own = this.#servers.length > 0;
    if (!own && (await isInHostsFile(host))) return lookUp(host);
    try {
      return await this.#query(host);
    } catch (error) {
      if (own) throw error;
      return await lookUp(host);
    }
  }

  /** Ends what is under way, which then rejects. */
  close(): void {
    this.#dns?.cancel();
  }

  async #query(host: string): Promise<Resolution> {
    this.#dns ??= this.#open();
    const options = { ttl: true } as const;
    const [four, six] = await Promise.allSettled([
      this.#dns.resolve4(host, options),
      this.#dns.resolve6(host, options),
    ]);
    const records4 = four.status === "fulfilled" ? four.value : [];
    const records6 = six.status === "fulfilled" ? six.value.filter((record) => isUsable(record.address)) : [];
    const records = [...records4, ...records6];
    if (records.length === 0) {
      // Of two reasons the one that says more: "no data" of one family alone is no failure.
      const reasons = [four, six].flatMap((each) =>
        each.status === "rejected" ? [each.reason as Error] : [],
      );
      throw (
        reasons.find((reason) => "code" in reason && reason.code !== "ENODATA") ?? reasons[0] ?? none(host)
      );
    }
    const ttl = records.reduce((least, record) => Math.min(least, record.ttl), Number.POSITIVE_INFINITY);
    return { addresses: unique(records.map(({ address }) => address)), ttlMs: ttl * 1000 };
  }

  #open(): dns.Resolver {
    const { promises } = process.getBuiltinModule("node:dns");
    const resolver = new promises.Resolver({ timeout: queryMs, tries: queryTries });
    if (this.#servers.length > 0) resolver.setServers([...this.#servers]);
    return resolver;
  }
}

async function lookUp(host: string): Promise<Resolution> {
  const { promises } = process.getBuiltinModule("node:dns");
  const found = await promises.lookup(host, { all: true, verbatim: true });
  const addresses = unique(found.map(({ address }) => address).filter(isUsable));
  if (addresses.length === 0) throw none(host);
  return { addresses, ttlMs: null };
}

async function isInHostsFile(host: string): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(hostsFile, "utf8");
  } catch {
    return false;
  }
  const name = host.toLowerCase();
  for (const line of text.split("\n")) {
    const [, ...names] = line.split("#", 1)[0]?.trim().split(/\s+/) ?? [];
    if (names.some((each) => each.toLowerCase() === name)) return true;
  }
  return false;
}

/** On a machine without IPv6 an IPv6 address could only fail, as in RFC 3493's AI_ADDRCONFIG. */
function isUsable(address: string): boolean {
  if (!address.includes(":") || address === "::1") return true;
  return Object.values(networkInterfaces()).some((infos) =>
    infos?.some((info) => info.family === "IPv6" && !info.internal && !info.address.startsWith("fe80:")),
  );
}

function none(host: string): Error {
  return Object.assign(new Error(`no address for ${host}`), { code: "ENODATA" });
}

/** A bound to what an answer can make us hold. */
const maxAddresses = 256;

function unique(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses)].slice(0, maxAddresses);
}
