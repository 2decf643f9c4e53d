export { url } from "../node/url.ts";
