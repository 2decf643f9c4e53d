import { hash } from "node:crypto";

/** What is known of a token that was found right. */
export interface VerifiedToken {
  /** It has all the scopes that are asked for. */
  readonly hasScopes: boolean;
  /** The header fields that the claims become, each valid as it stands. */
  readonly fields: ReadonlyArray<readonly [name: string, value: string]>;
  /** Milliseconds since 1970 until which it holds without another check. */
  readonly until: number;
}

/** Tokens of one generation; two are kept. */
const maxTokens = 2048;

/**
 * Tokens that were verified lately, by their hash: the token itself is not kept. When a generation is full the one before
 * it is dropped as a whole, so that nothing is searched or moved for a request.
 */
export class VerifiedTokens {
  #young: Map<string, VerifiedToken> = new Map();
  #old: Map<string, VerifiedToken> = new Map();

  static key(token: string): string {
    return hash("sha256", token, "base64");
  }

  get(key: string, now: number): VerifiedToken | null {
    const found = this.#young.get(key) ?? this.#old.get(key);
    return found !== undefined && now < found.until ? found : null;
  }

  add(key: string, token: VerifiedToken): void {
    if (this.#young.size >= maxTokens) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, token);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}
