import { CryptoKey, cloneKey, isCryptoKey } from "../web/crypto-key.ts";
import { cloneAs } from "../web/structured-clone.ts";

export { DigestStream } from "../web/crypto-digest-stream.ts";
export { callSubtle } from "../web/crypto-subtle.ts";
export { supports } from "../web/crypto-supports.ts";
export { CryptoKey };

cloneAs((value) => (isCryptoKey(value) ? cloneKey(value) : null));
