import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { afterEach, test } from "node:test";
import zlib from "node:zlib";
import { Metrics } from "../../src/observability/traffic.ts";
import type { ServiceContext } from "../../src/services/context.ts";
import { NetworkService, networkDefaults } from "../../src/services/network/network.ts";
import { collect } from "../integration/network-harness.ts";
import { WorkerBench } from "../integration/worker-harness.ts";

const context = {
  log: { log() {}, access() {}, accessEnabled: false },
  metrics: new Metrics(),
  now: () => performance.now(),
} as unknown as ServiceContext;

let bench: WorkerBench | null = null;
const cleanUp: (() => void)[] = [];
afterEach(() => {
  bench?.stop();
  bench = null;
  for (const clean of cleanUp.splice(0)) clean();
});

async function listen(server: net.Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanUp.push(() => {
    server.close();
    (server as http.Server).closeAllConnections?.();
  });
  return (server.address() as AddressInfo).port;
}

async function run(imports: string, body: string): Promise<unknown> {
  const network = new NetworkService("internet", { allow: ["local"], deny: [] }, context, {
    ...networkDefaults,
    resolve(host, done) {
      // One name leads to this machine, another to a network that the rules do not permit.
      if (host === "localhost") done(null, [{ address: "127.0.0.1", family: 4 }]);
      else if (host === "other.example") done(null, [{ address: "10.0.0.1", family: 4 }]);
      else done(new Error("no such name"), []);
    },
  });
  cleanUp.push(() => network.close());
  const code = `${imports}\nexport default { async fetch() { return Response.json(await (async () => { ${body} })()); } };`;
  bench = await WorkerBench.start({ main: { code, flags: ["nodejs_compat"] } }, [network]);
  const answer = await collect(bench.worker(), {});
  assert.equal(answer.status, 200, `${answer.text} ${JSON.stringify(bench.logs)}`);
  return JSON.parse(answer.text);
}

test("http.request sends method, headers and body, and gives status, headers and body as they came", async () => {
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url, headers } = request;
      const said = JSON.stringify({
        method,
        url,
        header: headers["x-a"],
        body: Buffer.concat(chunks).toString(),
      });
      response.writeHead(201, { "content-encoding": "gzip", "set-cookie": ["a=1", "b=2"] });
      response.end(zlib.gzipSync(said));
    });
  });
  const port = await listen(server);
  const seen = await run(
    `import http from "node:http"; import { buffer } from "node:stream/consumers"; import zlib from "node:zlib";`,
    `const answer = await new Promise((resolve, reject) => {
       const request = http.request({ host: "127.0.0.1", port: ${port}, path: "/p?q", method: "POST", headers: { "X-A": "1" } }, resolve);
       request.on("error", reject); request.write("one "); request.write("two "); request.end("three");
     });
     const body = await buffer(answer);
     const refused = await new Promise((resolve) => http.get("http://127.0.0.1:1/", () => resolve("answered")).on("error", (e) => resolve(e.code)));
     return [answer.statusCode, answer.headers["set-cookie"], answer.headers["content-encoding"], JSON.parse(zlib.gunzipSync(body)), refused];`,
  );
  assert.deepEqual(seen, [
    201,
    ["a=1", "b=2"],
    "gzip",
    { method: "POST", url: "/p?q", header: "1", body: "one two three" },
    "ECONNREFUSED",
  ]);
});

test("net.connect talks to a server, and tells of one that is not there", async () => {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.write("hello ");
    socket.on("data", (chunk) => socket.end(chunk.toString().toUpperCase()));
  });
  const port = await listen(server);
  const seen = await run(
    `import net from "node:net"; import { text } from "node:stream/consumers"; import { once } from "node:events";`,
    `const socket = net.connect(${port}, "127.0.0.1");
     await once(socket, "connect"); socket.write("abc");
     const said = await text(socket);
     const refused = await new Promise((resolve) => net.connect({ port: 1, host: "127.0.0.1" }).on("error", (e) => resolve(e.code)));
     return [said, refused, net.isIP("::1"), net.isIP("1.2.3.4"), net.isIP("x")];`,
  );
  assert.deepEqual(seen, ["hello ABC", "ECONNREFUSED", 6, 4, 0]);
});

test("zlib compresses and decompresses at once, later and in streams", async () => {
  const seen = await run(
    `import zlib from "node:zlib"; import { promisify } from "node:util"; import { pipeline } from "node:stream/promises"; import { Readable } from "node:stream";`,
    `const text = "text ".repeat(1000); const out = {};
     for (const [to, from] of [["gzip", "gunzip"], ["deflate", "inflate"], ["deflateRaw", "inflateRaw"], ["brotliCompress", "brotliDecompress"], ["zstdCompress", "zstdDecompress"]]) {
       const small = zlib[to + "Sync"](text);
       const later = await promisify(zlib[from])(await promisify(zlib[to])(text));
       out[to] = [small.length < 200, zlib[from + "Sync"](small).toString() === text, later.toString() === text];
     }
     const chunks = []; await pipeline(Readable.from([text, text]), zlib.createGzip(), zlib.createGunzip(), async (source) => { for await (const c of source) chunks.push(c); });
     const bad = await promisify(zlib.gunzip)(Buffer.from("no gzip")).catch((e) => e.code);
     const old = new zlib.Gzip() instanceof zlib.Gzip && zlib.createGzip() instanceof zlib.Gzip;
     let sync; try { zlib.inflateSync(Buffer.from("no")); } catch (e) { sync = e.code; }
     return [out, Buffer.concat(chunks).toString() === text + text, bad, sync, zlib.crc32("hello"), old];`,
  );
  const all = [true, true, true];
  assert.deepEqual(seen, [
    { gzip: all, deflate: all, deflateRaw: all, brotliCompress: all, zstdCompress: all },
    true,
    "Z_DATA_ERROR",
    "Z_DATA_ERROR",
    zlib.crc32("hello"),
    true,
  ]);
});

test("dns gives the addresses that the outbound service permits, and no others", async () => {
  const seen = await run(
    `import dns from "node:dns"; import { lookup } from "node:dns/promises"; import { promisify } from "node:util";`,
    `const code = (promise) => promise.then(() => "found", (e) => e.code);
     return [(await lookup("localhost", { family: 4 })).address, (await promisify(dns.resolve4)("localhost")), await lookup("10.1.2.3"),
       await code(lookup("no-such-name.invalid")), await code(lookup("bad name!")), await code(lookup("other.example"))];`,
  );
  assert.deepEqual(seen, [
    "127.0.0.1",
    ["127.0.0.1"],
    { address: "10.1.2.3", family: 4 },
    "ENOTFOUND",
    "EBADNAME",
    "ENOTFOUND",
  ]);
});
