import { createPublicKey, createSecretKey, type JsonWebKeyInput, type KeyObject } from "node:crypto";

/** The algorithms of RFC 7518 §3.1, RFC 8037 §3.1 and RFC 9864 §2.2 that tokens may be signed with; `none` is not among them. */
export const jwtAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
  "HS256",
  "HS384",
  "HS512",
] as const;
export type JwtAlgorithm = (typeof jwtAlgorithms)[number];

/** A key as config writes it: exactly one of `pem`, `jwk` and `secret`. */
export interface KeyConfig {
  readonly pem?: string | undefined;
  readonly jwk?: Readonly<Record<string, unknown>> | undefined;
  readonly secret?: string | undefined;
  readonly encoding?: "utf8" | "base64" | "base64url" | "hex" | undefined;
  readonly kid?: string | undefined;
  readonly algorithm?: JwtAlgorithm | undefined;
}

/**
 * A key with the algorithms that it is for. They follow from the key, never from the token alone: a public key is no
 * secret of HMAC, however a token's header has it (RFC 8725 §3.1).
 */
export interface VerificationKey {
  readonly key: KeyObject;
  /** Null fits every token of its algorithms. */
  readonly kid: string | null;
  readonly algorithms: readonly JwtAlgorithm[];
}

const curves: Readonly<Record<string, JwtAlgorithm>> = {
  prime256v1: "ES256",
  secp384r1: "ES384",
  secp521r1: "ES512",
};

/**
 * Reads a key of the config.
 *
 * @throws Error with the reason, which quotes nothing of the key
 */
export function readKey(config: KeyConfig): VerificationKey {
  const jwk = config.jwk === undefined ? null : fieldsOf(config.jwk);
  const kid = config.kid ?? jwk?.kid ?? null;
  const key = objectOf(config);
  const algorithms = narrow(algorithmsOf(key), config.algorithm ?? jwk?.alg ?? null);
  return { key, kid, algorithms };
}

function objectOf({ pem, jwk, secret, encoding = "utf8" }: KeyConfig): KeyObject {
  if (secret !== undefined) return createSecretKey(Buffer.from(secret, encoding));
  try {
    if (pem !== undefined) return publicKey(pem);
    if (jwk !== undefined) return jwk.kty === "oct" ? secretOf(jwk) : publicKey(jwk);
  } catch {
    // OpenSSL's reason says nothing to people, and could quote the key.
  }
  throw new Error(pem === undefined ? "it is no JWK of a key that verifies" : "it is no public key in PEM");
}

/** Of a private key, the public half: the private one is not kept. */
function publicKey(source: string | Readonly<Record<string, unknown>>): KeyObject {
  return typeof source === "string"
    ? createPublicKey(source)
    : createPublicKey({ key: source, format: "jwk" } as JsonWebKeyInput);
}

function secretOf(jwk: Readonly<Record<string, unknown>>): KeyObject {
  if (typeof jwk.k !== "string") throw new Error("it has no k");
  return createSecretKey(Buffer.from(jwk.k, "base64url"));
}

/** @throws Error when no token can be checked with the key */
function algorithmsOf(key: KeyObject): readonly JwtAlgorithm[] {
  if (key.type === "secret") {
    const length = key.symmetricKeySize ?? 0;
    // RFC 7518 §3.2: as long as the hash.
    if (length < 32) throw new Error("a secret has at least 32 bytes");
    return length < 48 ? ["HS256"] : length < 64 ? ["HS256", "HS384"] : ["HS256", "HS384", "HS512"];
  }
  const details = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      if ((details.modulusLength ?? 0) < 2048) throw new Error("an RSA key has at least 2048 bits");
      return ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    case "ec": {
      const algorithm = curves[details.namedCurve ?? ""];
      if (algorithm !== undefined) return [algorithm];
      throw new Error("expected one of the curves P-256, P-384 and P-521");
    }
    case "ed25519":
      return ["EdDSA", "Ed25519"];
    default:
      throw new Error("expected a key of RSA, of an elliptic curve P-256, P-384 or P-521, or Ed25519");
  }
}

function narrow(algorithms: readonly JwtAlgorithm[], wanted: string | null): readonly JwtAlgorithm[] {
  if (wanted === null) return algorithms;
  const found = algorithms.filter(
    (algorithm) => algorithm === wanted || (isEdwards(wanted) && isEdwards(algorithm)),
  );
  if (found.length === 0)
    throw new Error(`it is not for ${JSON.stringify(wanted)}: expected ${algorithms.join(", ")}`);
  return found;
}

/** Two names of one algorithm. */
function isEdwards(algorithm: string): boolean {
  return algorithm === "EdDSA" || algorithm === "Ed25519";
}

function fieldsOf(jwk: Readonly<Record<string, unknown>>): { kid: string | null; alg: string | null } {
  return {
    kid: typeof jwk.kid === "string" ? jwk.kid : null,
    alg: typeof jwk.alg === "string" ? jwk.alg : null,
  };
}

/** Of one document so many keys are used. */
const maxKeys = 100;

/**
 * The public keys of a JWK Set (RFC 7517 §5) that verify signatures. Others, secrets above all, are passed over, as §5 wants:
 * a set that anybody can fetch holds no secret.
 *
 * @throws Error when the text is no such set
 */
export function readKeySet(text: string): VerificationKey[] {
  let set: unknown = null;
  try {
    set = JSON.parse(text);
  } catch {
    throw new Error("it is no JSON");
  }
  const list = (set as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(list)) throw new Error('it has no list "keys"');
  const keys: VerificationKey[] = [];
  for (const jwk of list.slice(0, maxKeys) as unknown[]) {
    if (typeof jwk !== "object" || jwk === null || !verifies(jwk as Record<string, unknown>)) continue;
    try {
      keys.push(readKey({ jwk: jwk as Record<string, unknown> }));
    } catch {
      // A key that is not for us.
    }
  }
  return keys;
}

function verifies({ kty, use, key_ops: operations }: Record<string, unknown>): boolean {
  if (kty === "oct" || (use !== undefined && use !== "sig")) return false;
  return operations === undefined || (Array.isArray(operations) && operations.includes("verify"));
}

/** A token without `kid` is tried with so many keys. */
const maxTries = 4;

/** The keys that a token with this header may be signed by. */
export function candidates(
  keys: readonly VerificationKey[],
  algorithm: string,
  kid: string | null,
): VerificationKey[] {
  return keys
    .filter((key) => key.algorithms.includes(algorithm as JwtAlgorithm))
    .filter((key) => kid === null || key.kid === null || key.kid === kid)
    .sort((a, b) => Number(b.kid === kid) - Number(a.kid === kid))
    .slice(0, maxTries);
}
