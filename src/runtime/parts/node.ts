export { moduleFor } from "../node/modules.ts";
