import { native, nativeBytes, nativeText } from "../bridge/natives.ts";
import { Buffer } from "../parts/node-buffer.ts";
import { invalidType, invalidValue, nodeError } from "./errors.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes of a text, a view or a buffer. @throws TypeError for others. */
export function bytesOf(value: unknown, name: string, encoding?: unknown): Bytes {
  if (typeof value === "string") return Buffer(value, encoding === "buffer" ? "utf8" : encoding);
  if (ArrayBuffer.isView(value))
    return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw invalidType(
    name,
    "of type string or an instance of ArrayBuffer, Buffer, TypedArray, or DataView",
    value,
  );
}

/** The pieces one behind the other, as natives take them, with the sizes of all but the last. */
export function joined(...pieces: readonly Uint8Array[]): { sizes: number[]; bytes: Uint8Array } {
  let size = 0;
  for (const piece of pieces) size += piece.length;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { sizes: pieces.slice(0, -1).map((piece) => piece.length), bytes };
}

/** Calls a native with members and pieces (src/isolate/natives/parameters.ts). */
export function callNative(
  name: string,
  members: object,
  ...pieces: readonly Uint8Array[]
): Uint8Array | string {
  const { sizes, bytes } = joined(...pieces);
  return native(name, JSON.stringify({ ...members, sizes }), bytes);
}

interface Described {
  readonly type: "private" | "public";
  readonly asymmetricKeyType: string;
  readonly details: Record<string, unknown>;
  readonly der: string;
}

interface ExportOptions {
  format?: string;
  type?: string;
  cipher?: unknown;
  passphrase?: unknown;
}

/** A key in the guest: its structure in DER, or its bytes. It is the Worker's own, so it may well be seen. */
export class KeyObject {
  readonly #type: "secret" | "private" | "public";
  readonly #bytes: Bytes;
  readonly #kind: string | undefined;
  readonly #details: Record<string, unknown> | undefined;

  constructor(
    type: "secret" | "private" | "public",
    bytes: Bytes,
    kind?: string,
    details?: Record<string, unknown>,
  ) {
    if (type !== "secret" && type !== "private" && type !== "public") throw invalidValue("type", type);
    this.#type = type;
    this.#bytes = bytes;
    this.#kind = kind;
    this.#details = details;
  }

  static from(key: unknown): KeyObject {
    throw invalidType("key", "a key that node:crypto made; a CryptoKey stays on the host", key);
  }

  static is(value: unknown): value is KeyObject {
    return typeof value === "object" && value !== null && #bytes in value;
  }

  /** DER of an asymmetric key, the bytes of a secret one. */
  static bytes(key: KeyObject): Bytes {
    return key.#bytes;
  }

  get type(): string {
    return this.#type;
  }

  get symmetricKeySize(): number | undefined {
    return this.#type === "secret" ? this.#bytes.length : undefined;
  }

  get asymmetricKeyType(): string | undefined {
    return this.#kind;
  }

  get asymmetricKeyDetails(): Record<string, unknown> | undefined {
    if (this.#details === undefined) return undefined;
    const { publicExponent, ...rest } = this.#details;
    return publicExponent === undefined
      ? rest
      : { ...rest, publicExponent: BigInt(publicExponent as string) };
  }

  get [Symbol.toStringTag](): string {
    return "KeyObject";
  }

  equals(other: unknown): boolean {
    if (!KeyObject.is(other)) throw invalidType("otherKeyObject", "an instance of KeyObject", other);
    const [one, two] = [this.#bytes, other.#bytes];
    return (
      this.#type === other.#type &&
      one.length === two.length &&
      one.every((byte, index) => byte === two[index])
    );
  }

  export(options: ExportOptions = {}): unknown {
    if (this.#type === "secret") {
      if (options.format === "jwk") return { kty: "oct", k: Buffer(this.#bytes).toString("base64url") };
      return Buffer(this.#bytes);
    }
    if (options.cipher !== undefined || options.passphrase !== undefined)
      throw nodeError(
        Error,
        "ERR_METHOD_NOT_IMPLEMENTED",
        "cannot export the key: encrypted keys are not supported",
      );
    const { format, type } = options;
    if (format !== "pem" && format !== "der" && format !== "jwk")
      throw invalidValue("options.format", format);
    const result = callNative("crypto.writeKey", { kind: this.#type, format, type }, this.#bytes);
    if (typeof result !== "string") return Buffer(result);
    return format === "jwk" ? (JSON.parse(result) as object) : result;
  }
}

function makeKey(described: Described): KeyObject {
  const der = Buffer(described.der, "base64");
  return new KeyObject(described.type, der, described.asymmetricKeyType, described.details);
}

interface KeyInput {
  key?: unknown;
  format?: string;
  type?: string;
  encoding?: string;
  passphrase?: unknown;
}

/** Reads a private or public key in whatever form Node takes one. */
function readKey(value: unknown, kind: "private" | "public"): KeyObject {
  if (KeyObject.is(value)) {
    if (value.type === kind) return value;
    if (value.type === "private" && kind === "public")
      return readBytes(KeyObject.bytes(value), kind, "der", "pkcs8");
    throw nodeError(
      TypeError,
      "ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE",
      `Invalid key object type ${value.type}, expected ${kind}.`,
    );
  }
  const isInput = typeof value === "object" && value !== null && !ArrayBuffer.isView(value) && "key" in value;
  const input: KeyInput = isInput ? (value as KeyInput) : { key: value };
  if (KeyObject.is(input.key)) return readKey(input.key, kind);
  if (input.passphrase !== undefined)
    throw nodeError(
      Error,
      "ERR_METHOD_NOT_IMPLEMENTED",
      "cannot read the key: encrypted keys are not supported",
    );
  if (input.format === "jwk") return readBytes(Buffer(JSON.stringify(input.key)), kind, "jwk");
  return readBytes(bytesOf(input.key, "key", input.encoding), kind, input.format ?? "pem", input.type);
}

function readBytes(bytes: Uint8Array, kind: string, format: string, type?: string): KeyObject {
  const text = nativeText("crypto.readKey", JSON.stringify({ kind, format, type }), bytes);
  return makeKey(JSON.parse(text) as Described);
}

export function createPrivateKey(value: unknown): KeyObject {
  return readKey(value, "private");
}

export function createPublicKey(value: unknown): KeyObject {
  return readKey(value, "public");
}

export function createSecretKey(value: unknown, encoding?: unknown): KeyObject {
  return new KeyObject("secret", bytesOf(value, "key", encoding).slice());
}

/** The bytes of a secret key, in whatever form. */
export function secretBytes(value: unknown): Bytes {
  if (!KeyObject.is(value)) return bytesOf(value, "key");
  if (value.type !== "secret")
    throw nodeError(
      TypeError,
      "ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE",
      `Invalid key object type ${value.type}, expected secret.`,
    );
  return KeyObject.bytes(value);
}

interface PairOptions {
  modulusLength?: number;
  namedCurve?: string;
  publicKeyEncoding?: ExportOptions;
  privateKeyEncoding?: ExportOptions;
}

export interface KeyPair {
  publicKey: unknown;
  privateKey: unknown;
}

export function pairParameters(type: unknown, options: PairOptions = {}): string {
  if (typeof type !== "string") throw invalidType("type", "of type string", type);
  const { modulusLength, namedCurve } = options;
  return JSON.stringify({ type, modulusLength, namedCurve });
}

/** @param text what the native gave. */
export function makePair(text: string, options: PairOptions = {}): KeyPair {
  const pair = JSON.parse(text) as { publicKey: Described; privateKey: Described };
  const [publicKey, privateKey] = [makeKey(pair.publicKey), makeKey(pair.privateKey)];
  return {
    publicKey:
      options.publicKeyEncoding === undefined ? publicKey : publicKey.export(options.publicKeyEncoding),
    privateKey:
      options.privateKeyEncoding === undefined ? privateKey : privateKey.export(options.privateKeyEncoding),
  };
}

export function generateKeyPairSync(type: unknown, options?: PairOptions): KeyPair {
  return makePair(nativeText("crypto.generateKeyPair", pairParameters(type, options)), options);
}

export function generateKeySync(type: unknown, options: { length: number }): KeyObject {
  if (type !== "hmac" && type !== "aes") throw invalidValue("type", type);
  return new KeyObject("secret", nativeBytes("crypto.random", String(options.length >> 3)) as Bytes);
}
