// node:http in front, undici behind: PORT ORIGIN_PORT WORK
import { createServer } from "node:http";
import { Pool } from "undici";

const [port, originPort, work] = process.argv.slice(2);
const pool = new Pool(`http://127.0.0.1:${originPort}`, { pipelining: 1, keepAliveTimeout: 3_600_000 });

const hopByHop = new Set(["connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"]);

function endToEnd(headers) {
  const kept = {};
  for (const name in headers) {
    if (!hopByHop.has(name)) kept[name] = headers[name];
  }
  return kept;
}

function fail(response, error) {
  if (!response.headersSent) response.writeHead(502);
  response.end(error.message);
}

function forward(request, response) {
  const headers = endToEnd(request.headers);
  if (work === "edit") headers["x-path"] = new URL(request.url, "http://bench").pathname;
  const hasBody =
    headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
  const options = { method: request.method, path: request.url, headers, body: hasBody ? request : null };
  const answer = ({ statusCode, headers }) => {
    const kept = endToEnd(headers);
    if (work === "edit") kept["x-edited"] = "1";
    response.writeHead(statusCode, kept);
    return response;
  };
  pool.stream(options, answer, (error) => {
    if (error) fail(response, error);
  });
}

async function rewrite(request, response) {
  const answer = await pool.request({ method: request.method, path: request.url });
  const document = await answer.body.json();
  for (const item of document.items) item.price *= 2;
  document.edited = true;
  const text = JSON.stringify(document);
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

const handlers = {
  string: (_request, response) => response.end("Hello from a Worker\n"),
  json: (request, response) => rewrite(request, response).catch((error) => fail(response, error)),
};

createServer({ keepAliveTimeout: 3_600_000 }, handlers[work] ?? forward).listen(
  Number(port),
  "127.0.0.1",
  4096,
);
