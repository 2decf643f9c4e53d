export { crypto } from "../node/crypto.ts";
