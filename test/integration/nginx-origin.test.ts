import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { Agent, request } from "undici";
import { get, unused } from "../support/client.ts";
import { startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const run = promisify(execFile);
const binary = ["nginx", "/usr/sbin/nginx"].find((path) => spawnSync(path, ["-v"]).status === 0);
const skip = binary === undefined ? "nginx is not installed" : false;

const content = randomBytes(300_000);
const digest = createHash("sha256").update(content).digest("hex");

/** A real nginx that serves files and a text, on a loopback port of its own. @returns its address */
async function startNginx(t: TestContext): Promise<string> {
  const directory = new TemporaryDirectory(t);
  const port = await unused();
  directory.write("files/large.bin", content);
  directory.write(
    "nginx.conf",
    `${process.getuid?.() === 0 ? "user root; " : ""}daemon off; worker_processes 1; pid ${directory.at("nginx.pid")}; error_log ${directory.at("error.log")};
events { worker_connections 256; }
http {
  access_log off;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${directory.at(name)};`).join(" ")}
  server {
    listen 127.0.0.1:${port};
    location / { return 200 "$request_method $request_uri $http_x_path"; }
    location /files/ { root ${directory.path}; }
    location /moved { return 302 /; }
    location /old { gzip on; gzip_min_length 1; gzip_types *; root ${directory.path}; rewrite ^ /files/large.bin break; }
  }
}
`,
  );
  const nginx = spawn(binary ?? "nginx", ["-p", directory.path, "-c", directory.at("nginx.conf")], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  t.after(async () => {
    nginx.kill("SIGTERM");
    if (nginx.exitCode === null) await once(nginx, "exit");
  });
  while (!(await accepts(port))) await new Promise((done) => setTimeout(done, 10));
  return `127.0.0.1:${port}`;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => resolve(false));
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

const config = (origin: string): string => `
sockets:
  plain: { address: "127.0.0.1:0", service: app }
  worker: { address: "127.0.0.1:0", service: edit }
services:
  edit:
    worker: { main: ./edit.ts, compatibilityDate: 2026-11-01, bindings: { ORIGIN: { service: app } } }
  app: { external: { address: "${origin}" } }
log: { access: false }
`;

const edit = `export default { async fetch(request, env) {
  const headers = new Headers(request.headers);
  headers.set("x-path", new URL(request.url).pathname);
  const response = await env.ORIGIN.fetch(new Request(request, { headers }));
  const out = new Response(response.body, response);
  out.headers.set("x-edge", "1");
  return out;
} };`;

test(
  "a real nginx behind the proxy answers curl, undici and node:http, with a Worker and without",
  { skip },
  async (t) => {
    const sluice = await startSluice(t, config(await startNginx(t)), { files: { "edit.ts": edit } });
    const agent = new Agent();
    t.after(() => agent.close());
    for (const socket of ["plain", "worker"]) {
      const url = await sluice.listening(socket);
      const path = socket === "worker" ? "/a/b" : "";
      assert.equal((await get(`${url}/a/b?c=1`)).body, `GET /a/b?c=1 ${path}`, socket);

      const curl = await run("curl", ["-s", "-i", `${url}/a/b`]);
      assert.match(curl.stdout, /^HTTP\/1\.1 200 OK\r\n/);
      assert.equal(/^x-edge: 1\r$/im.test(curl.stdout), socket === "worker");
      assert.ok(curl.stdout.endsWith(`\r\n\r\nGET /a/b ${path}`), curl.stdout);

      const file = await request(`${url}/files/large.bin`, { dispatcher: agent });
      assert.equal(file.headers["content-length"], String(content.length));
      const bytes = Buffer.from(await file.body.arrayBuffer());
      assert.equal(createHash("sha256").update(bytes).digest("hex"), digest);

      const etag = String(file.headers.etag);
      const unchanged = await request(`${url}/files/large.bin`, {
        dispatcher: agent,
        headers: { "if-none-match": etag },
      });
      assert.equal(unchanged.statusCode, 304);
      await unchanged.body.dump();

      const part = await request(`${url}/files/large.bin`, {
        dispatcher: agent,
        headers: { range: "bytes=10-19" },
      });
      assert.equal(part.statusCode, 206);
      assert.deepEqual(Buffer.from(await part.body.arrayBuffer()), content.subarray(10, 20));

      const head = await request(`${url}/files/large.bin`, { dispatcher: agent, method: "HEAD" });
      assert.equal(head.headers["content-length"], String(content.length));
      await head.body.dump();

      const moved = await request(`${url}/moved`, { dispatcher: agent });
      assert.equal(moved.statusCode, 302);
      await moved.body.dump();

      // nginx sends what it compresses in chunks; the coding travels on as it is.
      const packed = await run("curl", ["-s", "--compressed", "-o", "-", `${url}/old`], {
        encoding: "buffer",
        maxBuffer: 1 << 24,
      });
      assert.equal(createHash("sha256").update(packed.stdout).digest("hex"), digest);
    }
  },
);
