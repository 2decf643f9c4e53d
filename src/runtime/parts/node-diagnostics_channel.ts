export { diagnosticsChannel } from "../node/diagnostics-channel.ts";
