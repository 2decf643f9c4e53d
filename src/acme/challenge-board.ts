import type { ServedKeypair } from "../tls/acceptor.ts";
import type { AcmeChallenges } from "../tls/acme-challenges.ts";

/** What proves to an authority that a name is ours. */
export type Proof =
  | { readonly type: "http-01"; readonly token: string; readonly answer: string }
  | { readonly type: "tls-alpn-01"; readonly name: string; readonly keypair: ServedKeypair };

/** The proofs that authorities may ask for now, of all orders together. */
export class ChallengeBoard {
  readonly #proofs: Set<Proof> = new Set();
  readonly #show: (challenges: AcmeChallenges) => Promise<void>;

  /** @param show resolves when every shard answers so */
  constructor(show: (challenges: AcmeChallenges) => Promise<void>) {
    this.#show = show;
  }

  get challenges(): AcmeChallenges {
    const tokens: Record<string, string> = {};
    const certificates: Record<string, ServedKeypair> = {};
    for (const proof of this.#proofs) {
      if (proof.type === "http-01") tokens[proof.token] = proof.answer;
      else certificates[proof.name] = proof.keypair;
    }
    return { tokens, certificates };
  }

  /** Resolves when every shard shows them. */
  async add(proofs: readonly Proof[]): Promise<void> {
    for (const proof of proofs) this.#proofs.add(proof);
    await this.#show(this.challenges);
  }

  remove(proofs: readonly Proof[]): void {
    let changed = false;
    for (const proof of proofs) changed = this.#proofs.delete(proof) || changed;
    if (changed) void this.#show(this.challenges);
  }
}
