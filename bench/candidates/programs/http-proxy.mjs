// http-proxy, as its README shows it, with an agent that keeps connections: PORT ORIGIN_PORT WORK
import { Agent, createServer } from "node:http";
import httpProxy from "http-proxy";

const [port, originPort, work] = process.argv.slice(2);
const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${originPort}`,
  agent: new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 1024 }),
});
if (work === "edit") {
  proxy.on("proxyReq", (outgoing, request) => {
    outgoing.setHeader("x-path", new URL(request.url, "http://bench").pathname);
  });
  proxy.on("proxyRes", (incoming) => {
    incoming.headers["x-edited"] = "1";
  });
}
proxy.on("error", (error, _request, response) => {
  if (!response.headersSent) response.writeHead(502);
  response.end(error.message);
});

createServer({ keepAliveTimeout: 3_600_000 }, (request, response) => proxy.web(request, response)).listen(
  Number(port),
  "127.0.0.1",
  4096,
);
