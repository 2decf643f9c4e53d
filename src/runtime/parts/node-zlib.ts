export { zlib } from "../node/zlib.ts";
