import type { ServedKeypair } from "../tls/acceptor.ts";
import type { LocalCa } from "../tls/local-ca.ts";
import { isMadeOnDemand } from "../tls/missing-leaves.ts";
import type { Revision } from "./revision.ts";

/** The least recently made goes first: whoever asks for many names cannot fill the memory. */
const maxLeaves = 32;

/** Certificates of the development CA that are made when a client asks for their name. */
export class DevelopmentLeaves {
  readonly #env: NodeJS.ProcessEnv;
  #ca: LocalCa | null = null;
  readonly #bySocket: Map<string, Map<string, ServedKeypair>> = new Map();

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** What the socket shows beside the certificate that its config asks for. */
  of(revision: Revision, socket: string): readonly ServedKeypair[] {
    if (!isDevelopment(revision, socket)) return [];
    return [...(this.#bySocket.get(socket)?.values() ?? [])];
  }

  /** @returns false when there is nothing to make. @throws Error when the authority cannot be read */
  async make(revision: Revision, socket: string, name: string): Promise<boolean> {
    const key = revision.config.sockets[socket]?.tls?.certificates[0]?.key;
    if (key === undefined || !isDevelopment(revision, socket) || !isMadeOnDemand(name)) return false;
    const { caDirectory, LocalCa } = await import("../tls/local-ca.ts");
    const { publicKeyOf } = await import("../tls/x509.ts");
    const leaves = this.#bySocket.get(socket) ?? new Map<string, ServedKeypair>();
    this.#bySocket.set(socket, leaves);
    // Shards may ask at the same time.
    if (leaves.has(name)) return true;
    this.#ca ??= LocalCa.open("development", caDirectory("development", this.#env));
    const ca = this.#ca;
    if (!ca.permits(name)) return false;
    leaves.set(name, { certificate: ca.sign([name], publicKeyOf(key)), key });
    const [oldest] = leaves.keys();
    if (leaves.size > maxLeaves && oldest !== undefined) leaves.delete(oldest);
    return true;
  }
}

function isDevelopment(revision: Revision, socket: string): boolean {
  return (revision.config.sockets[socket]?.tls?.development ?? false) !== false;
}
