import type { JWTVerifyOptions } from "jose";
import type { JwtConfig } from "../../../config/schema/jwt.ts";
import { candidates, readKey, type VerificationKey } from "../../../net/verification-key.ts";
import type { ServiceContext } from "../../context.ts";
import type { Resolve } from "../../service.ts";
import { claimAt, claimField, scopesOf } from "./claims.ts";
import { RemoteKeys } from "./remote-keys.ts";
import { type VerifiedToken, VerifiedTokens } from "./verified-tokens.ts";

/** Why a token is not good, in words for the client: nothing of the token or the config is in them. */
export class InvalidToken extends Error {}

/** Checks tokens against keys and rules. What has to do with signatures is jose's; it is loaded with the first token. */
export class TokenVerifier {
  readonly #config: JwtConfig;
  readonly #keys: readonly VerificationKey[];
  readonly #remote: RemoteKeys | null;
  readonly #verified: VerifiedTokens = new VerifiedTokens();
  readonly #wallClock: () => number;
  /** Set with each change of keys: a verdict from before is not kept. */
  #version = 0;

  /**
   * @param wallClock milliseconds since 1970
   * @throws Error when a key of the config cannot be read
   */
  constructor(config: JwtConfig, context: ServiceContext, wallClock: () => number = Date.now) {
    this.#config = config;
    this.#keys = config.keys.map(readKey);
    this.#wallClock = wallClock;
    const onChange = (): void => {
      this.#version++;
      this.#verified.clear();
    };
    this.#remote = config.jwks === undefined ? null : new RemoteKeys(config.jwks, context, onChange);
  }

  link(resolve: Resolve): void {
    this.#remote?.link(resolve);
  }

  /** What is known of the token without a check; null when it has to be checked. @param key of `VerifiedTokens.key` */
  known(key: string): VerifiedToken | null {
    return this.#verified.get(key, this.#wallClock());
  }

  /**
   * Checks a token, and knows it from then on.
   *
   * @throws InvalidToken when it is not good
   * @throws ProxyError when that cannot be told, since there are no keys
   */
  async verify(token: string, key: string): Promise<VerifiedToken> {
    const version = this.#version;
    const claims = await this.#check(token);
    const verified = this.#describe(claims);
    if (this.#config.cache > 0 && version === this.#version) this.#verified.add(key, verified);
    return verified;
  }

  async #check(token: string): Promise<Readonly<Record<string, unknown>>> {
    const { decodeProtectedHeader } = await import("jose");
    let alg: unknown;
    let kid: unknown;
    try {
      ({ alg, kid } = decodeProtectedHeader(token));
    } catch {
      throw new InvalidToken("The token is malformed");
    }
    const { algorithms } = this.#config;
    if (typeof alg !== "string" || !(algorithms as readonly string[]).includes(alg)) {
      throw new InvalidToken("The token is signed with an algorithm that is not accepted");
    }
    const name = typeof kid === "string" ? kid : null;
    const inPlace = candidates(this.#keys, alg, name);
    let found = inPlace;
    if (this.#remote !== null) {
      found = candidates([...inPlace, ...(await this.#remote.get())], alg, name);
      // The issuer may have a new key.
      if (found.length === 0) found = candidates(await this.#remote.renewed(), alg, name);
    }
    for (const { key } of found) {
      const claims = await this.#try(token, key);
      if (claims !== null) return claims;
    }
    throw new InvalidToken("The token is signed by no key that is known");
  }

  /** Null when it was another key. */
  async #try(token: string, key: VerificationKey["key"]): Promise<Readonly<Record<string, unknown>> | null> {
    const { errors, jwtVerify } = await import("jose");
    try {
      return (await jwtVerify(token, key, this.#options())).payload;
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) return null;
      if (error instanceof errors.JWTExpired) throw new InvalidToken("The token expired");
      if (error instanceof errors.JWTClaimValidationFailed) throw new InvalidToken("A claim is not accepted");
      if (error instanceof errors.JOSEError) throw new InvalidToken("The token is malformed");
      throw error;
    }
  }

  #options(): JWTVerifyOptions {
    const { algorithms, audience, clockTolerance, issuer, maxAge, requiredClaims, type } = this.#config;
    const options: JWTVerifyOptions = {
      algorithms: [...algorithms],
      clockTolerance: clockTolerance / 1000,
      currentDate: new Date(this.#wallClock()),
      requiredClaims: [...requiredClaims],
    };
    if (audience !== undefined) options.audience = [...audience];
    if (issuer !== undefined) options.issuer = [...issuer];
    if (maxAge > 0) options.maxTokenAge = maxAge / 1000;
    if (type !== undefined) options.typ = type;
    return options;
  }

  #describe(claims: Readonly<Record<string, unknown>>): VerifiedToken {
    const { cache, claimHeaders, clockTolerance, maxAge, payloadHeader, scopes } = this.#config;
    const fields: Array<readonly [string, string]> = [];
    for (const [name, claim] of Object.entries(claimHeaders)) {
      const value = claimField(claimAt(claims, claim));
      if (value !== null) fields.push([name, value]);
    }
    if (payloadHeader !== undefined) {
      fields.push([payloadHeader, Buffer.from(JSON.stringify(claims)).toString("base64url")]);
    }
    const own = scopesOf(claims);
    const until = Math.min(
      this.#wallClock() + cache,
      secondsOf(claims.exp) + clockTolerance,
      maxAge > 0 ? secondsOf(claims.iat) + maxAge + clockTolerance : Number.POSITIVE_INFINITY,
    );
    return { fields, hasScopes: scopes.every((scope) => own.has(scope)), until };
  }
}

/** A NumericDate (RFC 7519 §2) in milliseconds; no end without it. */
function secondsOf(claim: unknown): number {
  return typeof claim === "number" ? claim * 1000 : Number.POSITIVE_INFINITY;
}
