export { process } from "../node/process.ts";
