import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { promisify } from "node:util";
import { GuestFailure } from "../guest-failure.ts";
import { checkKeySize } from "./crypto-costs.ts";
import type { Native } from "./native.ts";
import { Parameters } from "./parameters.ts";

/** Bits of an RSA key that is used in the shard's thread: 30 ms for a signature. */
const MAX_MODULUS = 4096;
/** Bits of one that is made there, some 100 ms; on a thread it may be longer. */
const MAX_SYNC_MODULUS = 2048;

function invalid(): GuestFailure {
  return new GuestFailure("Error", "cannot read the key: it is not valid, encrypted, or not of that kind");
}

/** The private key of a PKCS #8 structure. @throws GuestFailure when it is none, or takes too long to use. */
export function privateKey(der: Buffer): KeyObject {
  checkKeySize(der.length);
  return bounded(read(() => createPrivateKey({ key: der, format: "der", type: "pkcs8" })));
}

/** The public key of a SubjectPublicKeyInfo. @throws GuestFailure when it is none, or takes too long to use. */
export function publicKey(der: Buffer): KeyObject {
  checkKeySize(der.length);
  return bounded(read(() => createPublicKey({ key: der, format: "der", type: "spki" })));
}

function read(make: () => KeyObject): KeyObject {
  try {
    return make();
  } catch {
    throw invalid();
  }
}

function bounded(key: KeyObject): KeyObject {
  const kind = key.asymmetricKeyType;
  if (kind === "dh")
    throw new GuestFailure("Error", "cannot use the key: Diffie-Hellman keys are not supported");
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) > MAX_MODULUS) {
    throw new GuestFailure("RangeError", `cannot use the key: its modulus has more than ${MAX_MODULUS} bits`);
  }
  return key;
}

/** What the guest keeps of a key: JSON of its kind and details, and its DER structure in base64. */
function describe(key: KeyObject): object {
  const details = key.asymmetricKeyDetails ?? {};
  const { publicExponent } = details;
  return {
    type: key.type,
    asymmetricKeyType: key.asymmetricKeyType,
    details: publicExponent === undefined ? details : { ...details, publicExponent: String(publicExponent) },
    der: derOf(key).toString("base64"),
  };
}

function derOf(key: KeyObject): Buffer {
  return key.type === "private"
    ? key.export({ format: "der", type: "pkcs8" })
    : key.export({ format: "der", type: "spki" });
}

/**
 * Reads a key: `{ kind, format, type }` and the key, `kind` being `private` or `public` (which a private key gives as
 * well), `format` `pem`, `der` or `jwk`. Encrypted keys are refused: whoever made them chose how long reading takes.
 *
 * @returns JSON `{ type, asymmetricKeyType, details, der }`.
 */
const readKey: Native = (text, bytes) => {
  const parameters = new Parameters(text, bytes);
  const format = parameters.text("format");
  const type = parameters.optionalText("type");
  const data = parameters.piece();
  checkKeySize(data.length);
  const isPem = format === "pem";
  if (isPem && data.includes("ENCRYPTED")) throw invalid();
  const given = {
    key: format === "jwk" ? (JSON.parse(data.toString()) as object) : isPem ? data.toString() : data,
    format,
    ...(type === undefined ? {} : { type }),
  };
  const make = parameters.text("kind") === "private" ? createPrivateKey : createPublicKey;
  return JSON.stringify(describe(bounded(read(() => make(given as never)))));
};

/** Writes a key: `{ kind, format, type }` and its DER structure; gives text for `pem` and `jwk`, else bytes. */
const writeKey: Native = (text, bytes) => {
  const parameters = new Parameters(text, bytes);
  const isPrivate = parameters.text("kind") === "private";
  const key = isPrivate ? privateKey(parameters.piece()) : publicKey(parameters.piece());
  const format = parameters.text("format");
  const type = parameters.optionalText("type") ?? (isPrivate ? "pkcs8" : "spki");
  try {
    if (format === "jwk") return JSON.stringify(key.export({ format: "jwk" }));
    return key.export({ format, type } as { format: "pem"; type: "pkcs8" });
  } catch {
    throw new GuestFailure("Error", "cannot export the key: not in this format and type");
  }
};

const kinds = new Set(["rsa", "rsa-pss", "ec", "ed25519", "ed448", "x25519", "x448"]);

interface Generation {
  readonly type: string;
  readonly options: object;
}

/** `{ type, modulusLength, namedCurve }`; the public exponent is 65537. */
function generationOf(text: string, bytes: Buffer, mostBits: number): Generation {
  const parameters = new Parameters(text, bytes);
  const type = parameters.text("type");
  if (!kinds.has(type))
    throw new GuestFailure("Error", "cannot generate a key pair: the type is not supported");
  const modulusLength = parameters.optionalInteger("modulusLength", mostBits, 512);
  const namedCurve = parameters.optionalText("namedCurve");
  return {
    type,
    options: {
      ...(modulusLength === undefined ? {} : { modulusLength }),
      ...(namedCurve === undefined ? {} : { namedCurve }),
    },
  };
}

function describePair(pair: { publicKey: KeyObject; privateKey: KeyObject }): string {
  return JSON.stringify({ publicKey: describe(pair.publicKey), privateKey: describe(pair.privateKey) });
}

const generate: Native = (text, bytes) => {
  const { type, options } = generationOf(text, bytes, MAX_SYNC_MODULUS);
  try {
    return describePair(generateKeyPairSync(type as "ec", options as { namedCurve: string }));
  } catch {
    throw new GuestFailure("Error", "cannot generate a key pair: a parameter is not valid");
  }
};

const generateAsync = promisify(generateKeyPair);

/** The same on a thread; what is wrong with the parameters is thrown at once. Gives JSON. */
export function generateOnThread(text: string, bytes: Buffer): () => Promise<string> {
  const { type, options } = generationOf(text, bytes, MAX_MODULUS);
  return async () => describePair(await generateAsync(type as "ec", options as { namedCurve: string }));
}

/** Keys in the forms of node:crypto. */
export const keyNatives: ReadonlyMap<string, Native> = new Map<string, Native>([
  ["crypto.readKey", readKey],
  ["crypto.writeKey", writeKey],
  ["crypto.generateKeyPair", generate],
]);
