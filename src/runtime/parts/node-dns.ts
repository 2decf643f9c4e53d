export { dns, promises } from "../node/dns.ts";
