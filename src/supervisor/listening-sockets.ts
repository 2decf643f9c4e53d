import { isIPv6 } from "node:net";
import { type Address, formatAddress, parseAddress } from "../net/address.ts";
import { type BoundHandle, bind } from "./bind.ts";
import { BindError } from "./bind-error.ts";

/** One listening socket of the config, open in the supervisor for as long as some revision names its address. */
export interface OpenSocket {
  readonly name: string;
  readonly fd: number;
  /** What is sent to shards. */
  readonly handle: BoundHandle;
  /** For people: `127.0.0.1:8080`, with the port that the system chose if config says 0, or `unix:/path`. */
  readonly shown: string;
}

interface Held {
  readonly handle: BoundHandle;
  readonly shown: string;
}

/** What a config asks for; a subset of its `sockets:`. */
export type WantedSockets = Readonly<Record<string, { readonly address: string }>>;

/** Some socket cannot be opened. The message is the whole text, naming the socket. */
export class ListenError extends Error {}

/**
 * The descriptors of all listening sockets. They are bound here once and stay open across reloads and crashes, so
 * that a connection which waits in the kernel's queue is never reset; only shards accept.
 */
export class ListeningSockets {
  readonly #env: NodeJS.ProcessEnv;
  #held: Map<string, Held> = new Map();

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  get size(): number {
    return this.#held.size;
  }

  /**
   * Opens what is not open yet. An address that is already open keeps its descriptor, whatever the socket is called
   * now. If one fails, those that this call opened are closed again.
   *
   * @throws ListenError `cannot listen on 127.0.0.1:80 (socket "public"): permission denied`
   */
  async open(wanted: WantedSockets): Promise<OpenSocket[]> {
    const opened: OpenSocket[] = [];
    const fresh: string[] = [];
    const users = new Map<string, string>();
    for (const [name, { address }] of Object.entries(wanted)) {
      try {
        const parsed = parseAddress(address);
        const key = keyOf(name, parsed);
        const other = users.get(key);
        // Two binds of one address succeed as long as neither listens (SO_REUSEADDR); the conflict is found here.
        if (other !== undefined)
          throw new BindError("EADDRINUSE", `socket "${other}" has this address already`);
        users.set(key, name);
        let held = this.#held.get(key);
        if (held === undefined) {
          const handle = await bind(parsed, this.#env);
          held = { handle, shown: shownAddress(parsed, handle) };
          this.#held.set(key, held);
          fresh.push(key);
        }
        opened.push({ name, fd: held.handle.fd, handle: held.handle, shown: held.shown });
      } catch (error) {
        for (const key of fresh) this.#close(key);
        const reason = error instanceof BindError ? error.message : String(error);
        throw new ListenError(`cannot listen on ${address} (socket "${name}"): ${reason}`, { cause: error });
      }
    }
    return opened;
  }

  /** Closes every descriptor that the config does not name. */
  closeOthers(wanted: WantedSockets): void {
    const keep = new Set(
      Object.entries(wanted).map(([name, { address }]) => keyOf(name, parseAddress(address))),
    );
    for (const key of [...this.#held.keys()]) {
      if (!keep.has(key)) this.#close(key);
    }
  }

  closeAll(): void {
    for (const key of [...this.#held.keys()]) this.#close(key);
  }

  #close(key: string): void {
    this.#held.get(key)?.handle.close();
    this.#held.delete(key);
  }
}

/** The same key means the same descriptor. Each socket on port 0 is one of its own. */
function keyOf(name: string, address: Address): string {
  const text = formatAddress(address);
  return address.kind === "tcp" && address.port === 0 ? `${text} ${name}` : text;
}

function shownAddress(address: Address, handle: BoundHandle): string {
  const out: { address?: string; port?: number } = {};
  if (handle.getsockname === undefined || handle.getsockname(out) < 0 || out.address === undefined) {
    return formatAddress(address);
  }
  return `${isIPv6(out.address) ? `[${out.address}]` : out.address}:${out.port}`;
}
