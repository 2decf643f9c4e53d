import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { WebSocketServer } from "ws";
import { Authority } from "../support/authority.ts";
import { type RunningSluice, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";
import { type Ended, run, SecureSite } from "./forward-harness.ts";

const origins = new Authority("Origins CA");
const good = origins.issue(["localhost"]);

const page = `<!doctype html>
<link rel="stylesheet" href="/style.css"><img src="/wait">
<script>
  document.write("<p>written " + isSecureContext + "</p>");
  const socket = new WebSocket("wss://" + location.host + "/chat");
  socket.onopen = () => socket.send("hello");
  socket.onmessage = ({ data }) => {
    document.body.append(Object.assign(document.createElement("p"), { textContent: data }));
    socket.send("seen");
  };
</script>`;

/** Whether a program is there; those that are not leave their test out. */
function has(program: string): boolean {
  return execFileSync("sh", ["-c", `command -v ${program} || true`], { encoding: "utf8" }) !== "";
}

interface Forward {
  readonly sluice: RunningSluice;
  /** With the user and password in it. */
  readonly proxy: string;
  /** The interception CA, as a file. */
  readonly ca: string;
  readonly directory: TemporaryDirectory;
  readonly env: Record<string, string>;
}

/** A proxy with a password; with `intercept`, one that opens tunnels. */
async function start(t: TestContext, intercept = ""): Promise<Forward> {
  const directory = new TemporaryDirectory(t);
  const env = { SLUICE_DATA_DIR: join(directory.path, "data"), SECRET: "open-sesame" };
  const sluice = await startSluice(
    t,
    `
sockets:
  proxy:
    address: 127.0.0.1:0
    service: net
    http: { style: proxy }
    proxyAuth: { users: { ada: "\${SECRET}" } }
    ${intercept}
services:
  net: { network: { allow: [local], trust: [./origins.pem] } }
`,
    { env, files: { "origins.pem": origins.certificate } },
  );
  const ca = join(directory.path, "ca.crt");
  const exported = await runSluice(t, ["cert", "export", ca, "--ca", "interception"], { env });
  assert.equal(exported.code, 0, exported.stderr);
  return { sluice, proxy: sluice.url.replace("//", "//ada:open-sesame@"), ca, directory, env };
}

/** A repository with one commit, as files that any web server can serve. */
function repository(t: TestContext): string {
  const { path } = new TemporaryDirectory(t);
  const git = (...args: string[]): void => {
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], {
      cwd: path,
      stdio: "ignore",
    });
  };
  git("init", "-b", "main");
  writeFileSync(join(path, "file"), "contents\n".repeat(10_000));
  git("add", "file");
  git("commit", "-m", "first");
  git("update-server-info");
  return join(path, ".git");
}

/** Serves a directory's files. */
const files =
  (directory: string) =>
  ({ url = "/" }: IncomingMessage, response: ServerResponse): void => {
    const path = join(directory, new URL(url, "http://x").pathname);
    if (path.startsWith(directory) && existsSync(path)) response.end(readFileSync(path));
    else response.writeHead(404).end();
  };

async function plainSite(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://localhost:${(server.address() as AddressInfo).port}`;
}

function clone(url: string, forward: Forward, trust: string, into: string): Promise<Ended> {
  const settings = ["-c", `http.proxy=${forward.proxy}`, "-c", `http.sslCAInfo=${trust}`];
  return run("git", [...settings, "clone", "-q", `${url}/`, join(forward.directory.path, into)], {
    GIT_TERMINAL_PROMPT: "0",
    GIT_SSL_CAINFO: trust,
  });
}

test("git clones over http, through a tunnel, and over https that is intercepted", async (t) => {
  const served = files(repository(t));
  const plain = await plainSite(t, served);
  const site = await SecureSite.start(t, good, served);
  const trust = new TemporaryDirectory(t).write("origins.pem", origins.certificate);
  const tunnelled = await start(t);
  const intercepted = await start(t, 'intercept: { hosts: ["*"] }');
  const secure = `https://localhost:${site.port}`;
  for (const [name, ended, forward] of [
    ["http", await clone(plain, tunnelled, trust, "http"), tunnelled],
    ["tunnel", await clone(secure, tunnelled, trust, "tunnel"), tunnelled],
    ["intercepted", await clone(secure, intercepted, intercepted.ca, "intercepted"), intercepted],
  ] as const) {
    assert.equal(ended.code, 0, `${name}: ${ended.stderr}`);
    assert.equal(readFileSync(join(forward.directory.path, name, "file"), "utf8").length, 90_000, name);
  }
});

test("wget downloads through the proxy that the environment names", { skip: !has("wget") }, async (t) => {
  const body = Buffer.alloc(3_000_000, "wget ");
  const url = await plainSite(t, (_request, response) => response.end(body));
  const forward = await start(t);
  const ended = await run("wget", ["-q", "-O", join(forward.directory.path, "out"), `${url}/file`], {
    http_proxy: forward.proxy,
  });
  assert.equal(ended.code, 0, ended.stderr);
  assert.ok(readFileSync(join(forward.directory.path, "out")).equals(body));
});

test(
  "npm installs through the proxy, from http and from https that is intercepted",
  { skip: !has("npm") },
  async (t) => {
    const packed = new TemporaryDirectory(t);
    mkdirSync(join(packed.path, "package"));
    packed.write("package/package.json", JSON.stringify({ name: "small", version: "1.0.0" }));
    packed.write("package/index.js", "module.exports = 1;\n");
    execFileSync("tar", ["-czf", "small.tgz", "package"], { cwd: packed.path });
    const tarball = readFileSync(join(packed.path, "small.tgz"));
    const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
    const registry = ({ url, headers, socket }: IncomingMessage, response: ServerResponse): void => {
      if (url === "/small") {
        const base = `${"encrypted" in socket ? "https" : "http"}://${headers.host}`;
        const version = {
          name: "small",
          version: "1.0.0",
          dist: { tarball: `${base}/small.tgz`, integrity },
        };
        const body = { name: "small", "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": version } };
        response.setHeader("content-type", "application/json").end(JSON.stringify(body));
      } else if (url === "/small.tgz") response.end(tarball);
      else response.writeHead(404).end("{}");
    };
    const plain = await plainSite(t, registry);
    const site = await SecureSite.start(t, good, registry);
    const forward = await start(t, 'intercept: { hosts: ["*"] }');
    for (const [index, url] of [plain, `https://localhost:${site.port}`].entries()) {
      const project = new TemporaryDirectory(t);
      project.write("package.json", "{}");
      const ended = await run(
        "npm",
        ["install", "small", "--prefix", project.path, "--no-audit", "--no-fund", "--fetch-retries=0"],
        {
          npm_config_registry: url,
          npm_config_proxy: forward.proxy,
          npm_config_https_proxy: forward.proxy,
          npm_config_noproxy: "",
          npm_config_cafile: forward.ca,
          npm_config_cache: join(project.path, "cache"),
          npm_config_userconfig: join(project.path, "npmrc"),
        },
      );
      assert.equal(ended.code, 0, ended.stderr);
      assert.ok(existsSync(join(project.path, "node_modules", "small", "index.js")));
      const seen = forward.sluice.stdout.split("\n").filter((line) => line.includes('"target":"/small.tgz"'));
      assert.equal(seen.length, index + 1, forward.sluice.stdout);
    }
  },
);

test(
  "Chromium loads a page through the intercepting proxy, with its CA trusted",
  { skip: !has("chromium") || !has("certutil") },
  async (t) => {
    const waiting = new Set<ServerResponse>();
    let isSeen = false;
    const site = await SecureSite.start(t, good, ({ url }, response) => {
      response.setHeader("content-type", url === "/" ? "text/html" : "text/css");
      // The page is not loaded before its WebSocket has said that it got an answer.
      if (url === "/wait" && !isSeen) waiting.add(response);
      else response.end(url === "/" ? page : "p { background: rgb(0, 128, 0); height: 500px }");
    });
    const sockets = new WebSocketServer({ server: site.server });
    sockets.on("connection", (socket) =>
      socket.on("message", (data) => {
        if (String(data) === "hello") socket.send("hello back");
        else {
          isSeen = true;
          for (const response of waiting) response.end();
        }
      }),
    );
    const forward = await start(t, 'intercept: { hosts: ["*"] }');
    // Chromium takes no password from the command line, so a proxy without one stands before it.
    const before = await startSluice(
      t,
      `
sockets:
  proxy: { address: "127.0.0.1:0", service: net, http: { style: proxy } }
services:
  net: { network: { allow: [local], proxy: "${forward.proxy}" } }
`,
    );
    const home = new TemporaryDirectory(t);
    const env = {
      ...forward.env,
      HOME: home.path,
      XDG_CONFIG_HOME: join(home.path, "config"),
      XDG_CACHE_HOME: join(home.path, "cache"),
    };
    const load = (...args: string[]): Promise<Ended> =>
      run(
        "chromium",
        [
          ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
          ...[`--user-data-dir=${join(home.path, "profile")}`, `--proxy-server=${new URL(before.url).host}`],
          ...[
            "--proxy-bypass-list=<-loopback>",
            "--virtual-time-budget=5000",
            ...args,
            `https://localhost:${site.port}/`,
          ],
        ],
        env,
      );
    const distrusted = await load("--dump-dom");
    assert.doesNotMatch(distrusted.stdout, /written/);
    const installed = await runSluice(t, ["cert", "install", "--ca", "interception", "--store", "nss"], {
      env,
    });
    assert.equal(installed.code, 0, installed.stderr);
    const trusted = await load("--dump-dom");
    assert.match(trusted.stdout, /<p>written true<\/p>/, trusted.stderr + forward.sluice.stdout);
    assert.match(trusted.stdout, /<p>hello back<\/p>/, forward.sluice.stdout);
    assert.match(forward.sluice.stdout, /"version":"HTTP\/2"/);
    const screenshot = join(home.path, "page.png");
    await load(`--screenshot=${screenshot}`, "--window-size=400,400");
    assert.equal(readFileSync(screenshot).toString("latin1", 1, 4), "PNG");
    assert.ok(forward.sluice.stdout.includes('"target":"/style.css"'));
  },
);
