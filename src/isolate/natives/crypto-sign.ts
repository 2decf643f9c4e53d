import {
  createECDH,
  diffieHellman,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  type SigningOptions,
  sign,
  verify,
} from "node:crypto";
import { GuestFailure } from "../guest-failure.ts";
import { checkHashed } from "./crypto-costs.ts";
import { privateKey, publicKey } from "./crypto-keys.ts";
import type { Native } from "./native.ts";
import { Parameters } from "./parameters.ts";

function failed(action: string): never {
  throw new GuestFailure(
    "Error",
    `cannot ${action}: the key does not fit, or a parameter or the data is not valid`,
  );
}

function dataOf(parameters: Parameters): Buffer {
  const data = parameters.piece();
  checkHashed(parameters.optionalText("digest") ?? null, data.length);
  return data;
}

function optionsOf(parameters: Parameters): SigningOptions {
  const padding = parameters.optionalInteger("padding", 16);
  const saltLength = parameters.optionalInteger("saltLength", 1024, -3);
  const dsaEncoding = parameters.optionalText("dsaEncoding");
  return {
    ...(padding === undefined ? {} : { padding }),
    ...(saltLength === undefined ? {} : { saltLength }),
    ...(dsaEncoding === "ieee-p1363" ? { dsaEncoding } : {}),
  };
}

/** `{ digest?, padding?, saltLength?, dsaEncoding?, sizes: [key] }`, a PKCS #8 key and the data; gives the signature. */
const signData: Native = (text, bytes) => {
  const parameters = new Parameters(text, bytes);
  const key = privateKey(parameters.piece());
  const data = dataOf(parameters);
  try {
    return sign(parameters.optionalText("digest") ?? null, data, { key, ...optionsOf(parameters) });
  } catch {
    return failed("sign");
  }
};

/** The same with `sizes: [key, signature]` and a public key; gives `true` or `false`. */
const verifyData: Native = (text, bytes) => {
  const parameters = new Parameters(text, bytes);
  const key = publicKey(parameters.piece());
  const signature = parameters.piece();
  const data = dataOf(parameters);
  const digest = parameters.optionalText("digest") ?? null;
  try {
    return String(verify(digest, data, { key, ...optionsOf(parameters) }, signature));
  } catch {
    return failed("verify");
  }
};

/** `{ operation, padding?, oaepHash?, sizes: [key, label] }`, the key, the OAEP label and the data. */
const rsa: Native = (text, bytes) => {
  const parameters = new Parameters(text, bytes);
  const operation = parameters.text("operation");
  const der = parameters.piece();
  const label = parameters.piece();
  const data = parameters.piece();
  const isPrivate = operation.startsWith("private");
  const key: KeyObject = isPrivate ? privateKey(der) : publicKey(der);
  const padding = parameters.optionalInteger("padding", 16);
  const oaepHash = parameters.optionalText("oaepHash");
  const options = {
    key,
    ...(padding === undefined ? {} : { padding }),
    ...(oaepHash === undefined ? {} : { oaepHash }),
    ...(label.length === 0 ? {} : { oaepLabel: label }),
  };
  try {
    switch (operation) {
      case "publicEncrypt":
        return publicEncrypt(options, data);
      case "publicDecrypt":
        return publicDecrypt(options, data);
      case "privateEncrypt":
        return privateEncrypt(options, data);
      case "privateDecrypt":
        return privateDecrypt(options, data);
    }
  } catch {
    // As with any other data that does not fit.
  }
  return failed(isPrivate ? "use the private key" : "use the public key");
};

/** `{ sizes: [private] }`, a PKCS #8 key and a public one; gives the shared secret. */
const agree: Native = (text, bytes) => {
  const parameters = new Parameters(text, bytes);
  const own = privateKey(parameters.piece());
  const other = publicKey(parameters.piece());
  try {
    return diffieHellman({ privateKey: own, publicKey: other });
  } catch {
    return failed("agree on a secret");
  }
};

/**
 * createECDH(): `{ curve, operation, compressed, sizes: [private] }` and a raw private key, then a raw public key.
 *
 * @returns for `generate` JSON `{ privateKey, publicKey }` in base64, for `public` and `compute` bytes.
 */
const ecdh: Native = (text, bytes) => {
  const parameters = new Parameters(text, bytes);
  const own = parameters.piece();
  const other = parameters.piece();
  const operation = parameters.text("operation");
  try {
    const exchange = createECDH(parameters.text("curve"));
    if (operation === "generate") {
      const made = exchange.generateKeys("base64");
      return JSON.stringify({ privateKey: exchange.getPrivateKey("base64"), publicKey: made });
    }
    exchange.setPrivateKey(own);
    if (operation === "compute") return exchange.computeSecret(other);
    return exchange.getPublicKey(
      null as never,
      parameters.flag("compressed") ? "compressed" : "uncompressed",
    ) as never;
  } catch {
    return failed("agree on a secret");
  }
};

/** What asymmetric keys do, for node:crypto. */
export const signNatives: ReadonlyMap<string, Native> = new Map<string, Native>([
  ["crypto.sign", signData],
  ["crypto.verify", verifyData],
  ["crypto.rsa", rsa],
  ["crypto.agree", agree],
  ["crypto.ecdh", ecdh],
]);
