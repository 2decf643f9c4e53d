export { net } from "../node/net.ts";
export { tls } from "../node/tls.ts";
