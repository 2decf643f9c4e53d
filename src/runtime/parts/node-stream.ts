export { consumers, promises, stream, web } from "../node/stream.ts";
