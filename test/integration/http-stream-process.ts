import { external } from "../../src/config/schema/external.ts";
import { socketHttp } from "../../src/config/schema/socket.ts";
import { HttpServer } from "../../src/http/server/http-server.ts";
import { Listener } from "../../src/net/listener.ts";
import { createExternal } from "../../src/services/external/external.ts";
import { TestContextOfServices } from "./http-harness.ts";

// A proxy in a process of its own, whose memory a test watches: argument one is the upstream's address.
const context = new TestContextOfServices();
const address = process.argv[2] ?? "";
const service = createExternal("upstream", external.parse({ address }), context.forServices);
const server = new HttpServer("public", socketHttp.parse({}), service, context.forServices);
const listener = new Listener((socket) => server.accept(socket));
await listener.listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
process.on("message", () => {
  process.send?.({
    rss: process.memoryUsage.rss(),
    connections: server.connections,
    exchanges: server.exchanges,
  });
});
process.on("disconnect", () => process.exit());
process.send?.({ port: listener.port });
