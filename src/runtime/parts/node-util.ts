export { types, util } from "../node/util.ts";
