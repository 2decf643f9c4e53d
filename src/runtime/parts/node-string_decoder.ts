export { stringDecoder } from "../node/string-decoder.ts";
