export { net, tls } from "../node/net.ts";
