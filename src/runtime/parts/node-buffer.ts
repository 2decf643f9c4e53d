export { Buffer, buffer } from "../node/buffer.ts";
