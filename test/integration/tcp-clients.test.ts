import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Authority } from "../support/authority.ts";
import { unused } from "../support/client.ts";
import { missing, start } from "../support/peer-program.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const authority = new Authority("Test CA");
const own = authority.issue(["localhost"]);
const files = { "ca.pem": authority.certificate, "own.pem": own.certificate, "own.key": own.key };

/** Runs a client; what it wrote, whatever its exit code. */
function run(program: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { timeout: 20_000 }, (_error, stdout, stderr) =>
      resolve(stdout + stderr),
    );
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}

interface Redis {
  readonly plain: number;
  readonly secure: number;
}

/** A real Redis, with a plain port and one that speaks TLS. */
async function startRedis(t: TestContext): Promise<Redis> {
  const directory = new TemporaryDirectory(t);
  for (const [name, text] of Object.entries(files)) directory.write(name, text);
  const plain = await unused();
  const secure = await unused();
  await start(t, plain, "redis-server", [
    "--port",
    String(plain),
    "--tls-port",
    String(secure),
    "--tls-cert-file",
    directory.at("own.pem"),
    "--tls-key-file",
    directory.at("own.key"),
    "--tls-ca-cert-file",
    directory.at("ca.pem"),
    "--tls-auth-clients",
    "no",
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--dir",
    directory.path,
  ]);
  return { plain, secure };
}

async function portOf(sluice: RunningSluice, name: string): Promise<string> {
  return new URL(await sluice.listening(name)).port;
}

test(
  "redis-cli and redis-benchmark work through byte streams, with TLS on neither, either and both sides",
  {
    skip: missing("redis-server"),
  },
  async (t) => {
    const redis = await startRedis(t);
    const secure = "tls: { certificates: [{ certificate: ./own.pem, key: ./own.key }] }";
    const sluice = await startSluice(
      t,
      `
sockets:
  plain: { address: 127.0.0.1:0, service: plain, tcp: {} }
  ended: { address: 127.0.0.1:0, service: plain, tcp: {}, ${secure} }
  begun: { address: 127.0.0.1:0, service: secure, tcp: {} }
  both: { address: 127.0.0.1:0, service: secure, tcp: {}, ${secure} }
  passed: { address: 127.0.0.1:0, service: passed, tcp: { sni: true } }
services:
  plain: { external: { address: "127.0.0.1:${redis.plain}", tcp: {} } }
  secure: { external: { address: "127.0.0.1:${redis.secure}", tcp: {}, tls: { trust: [./ca.pem], certificateHost: localhost } } }
  untouched: { external: { address: "127.0.0.1:${redis.secure}", tcp: {} } }
  passed: { router: [{ host: localhost, service: untouched }] }
log: { access: false }
`,
      { files },
    );
    const ca = join(sluice.directory.path, "ca.pem");
    const tls = ["--tls", "--cacert", ca, "--sni", "localhost"];
    for (const [name, more] of [
      ["plain", []],
      ["ended", tls],
      ["begun", []],
      ["both", tls],
      ["passed", tls],
    ] as const) {
      const at = ["-h", "127.0.0.1", "-p", await portOf(sluice, name), ...more];
      assert.equal(await run("redis-cli", [...at, "PING"]), "PONG\n", name);
      const large = "x".repeat(300_000);
      assert.equal(await run("redis-cli", [...at, "-x", "SET", "key"], large), "OK\n", name);
      assert.equal((await run("redis-cli", [...at, "STRLEN", "key"])).trim(), "300000", name);
    }
    const at = ["-h", "127.0.0.1", "-p", await portOf(sluice, "both"), ...tls];
    const said = await run("redis-benchmark", [
      ...at,
      "-n",
      "5000",
      "-c",
      "20",
      "-P",
      "8",
      "-t",
      "set,get",
      "-q",
    ]);
    assert.match(said, /GET: [\d.]+ requests per second/);
    assert.doesNotMatch(said, /rror/);
  },
);

test("openssl s_client talks through a socket that ends TLS, and through one that only looks at its ClientHello", async (t) => {
  const sluice = await startSluice(
    t,
    `
sockets:
  ended:
    address: 127.0.0.1:0
    service: echo
    tcp: { protocols: [echo] }
    tls: { certificates: [{ certificate: ./own.pem, key: ./own.key }] }
  passed: { address: 127.0.0.1:0, service: passed, tcp: { sni: true } }
  inner: { address: "unix:./inner.sock", service: echo, tcp: {}, tls: { certificates: [{ certificate: ./own.pem, key: ./own.key }] } }
services:
  passed: { external: { address: "unix:./inner.sock", tcp: {} } }
  echo: { worker: { main: ./echo.js, compatibilityDate: 2026-01-01 } }
`,
    {
      files: {
        ...files,
        "echo.js": `export default {
          async connect(socket) {
            const { value } = await socket.readable.getReader().read();
            const writer = socket.writable.getWriter();
            await writer.write(value);
            await writer.close();
          },
        };`,
      },
    },
  );
  const ca = join(sluice.directory.path, "ca.pem");
  for (const [name, version] of [
    ["ended", "-tls1_3"],
    ["ended", "-tls1_2"],
    ["passed", "-tls1_3"],
    ["passed", "-tls1_2"],
  ] as const) {
    const at = [
      "s_client",
      "-connect",
      `127.0.0.1:${await portOf(sluice, name)}`,
      "-CAfile",
      ca,
      "-servername",
      "localhost",
    ];
    const said = await run("openssl", [...at, version, "-alpn", "echo", "-ign_eof"], "to and fro\n");
    assert.match(said, /Verify return code: 0/, name);
    assert.match(said, /to and fro/, name);
    if (name === "ended") assert.match(said, /ALPN protocol: echo/);
  }
});
