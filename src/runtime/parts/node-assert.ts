export { assert, strict } from "../node/assert.ts";
