import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parse, parseAllDocuments } from "yaml";
import { errorCodes, ProxyError } from "../../src/errors/proxy-error.ts";
import { Origin } from "../support/origin.ts";
import { runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");
const pages = ["README.md", ...globSync(["docs/*.md", "examples/**/*.md"], { cwd: root })];

/** The fenced blocks of one language in a Markdown text. */
function blocks(markdown: string, language: string): string[] {
  return Array.from(
    markdown.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms")),
    (match) => match[1] ?? "",
  );
}

test("docs/errors.md lists every error code as it is", () => {
  const expected = errorCodes.map((code) => {
    const { status, source, retryable } = new ProxyError(code, "");
    return `| \`${code}\` | ${status} | ${source} | ${retryable ? "yes" : "no"} |`;
  });
  const listed = read("docs/errors.md").match(/^\| `\w+` \| \d+ \| \w+ \| \w+ \|(?= \S.* \|$)/gm);
  assert.deepEqual(listed, expected);
});

test("the Workers of the examples pass the type checker", async () => {
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, "-p", join(root, "examples")]);
  assert.equal(stdout, "");
});

for (const page of pages) {
  test(`${page} links to what is there`, () => {
    for (const [, target = ""] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = "", fragment] = target.split("#");
      const file = path === "" ? page : join(dirname(page), path);
      assert.ok(existsSync(join(root, file)), `${page} links to ${target}`);
      if (fragment === undefined) continue;
      const titles = Array.from(read(file).matchAll(/^#+ (.*)$/gm), ([, title = ""]) => anchor(title));
      assert.ok(titles.includes(fragment), `${page} links to ${target}`);
    }
  });
}

test("docs/workers.md names every global that Workers get", () => {
  const source = read("src/runtime/web/globals.ts");
  const text = read("docs/workers.md");
  const generic =
    /^(?:(?:Readable|Writable|Transform)Stream.+|.+QueuingStrategy|.+Controller|clear.+|Crypto|SubtleCrypto|Navigator|Performance|DOMException)$/;
  for (const [, list = ""] of source.matchAll(/^const (?:interfaces|operations) = \{\n(.*?)^\};/gms)) {
    for (const [, name = ""] of list.matchAll(/^ {2}(\w+),$/gm)) {
      if (generic.test(name)) continue;
      assert.match(text, new RegExp(`\\b${name}\\b`), `docs/workers.md does not name ${name}`);
    }
  }
});

test("the README's proxy of one's own works as it stands", async (context) => {
  const readme = read("README.md");
  const [config = ""] = blocks(readme, "yaml");
  const [worker = ""] = blocks(readme, "ts");
  const app = await Origin.start(context);
  const sluice = await startSluice(context, config, {
    files: { "edge.ts": worker },
    args: ["--socket-addr", "public=127.0.0.1:0", "--external-addr", `app=${app.address}`],
  });
  const response = await fetch(`${sluice.url}/hello`);
  assert.equal(await response.text(), "GET /hello");
  assert.equal(response.headers.get("x-served-by"), "sluice");
  assert.equal((await fetch(`${sluice.url}/internal/keys`)).status, 403);
});

test("the config for Kubernetes holds a proxy that works", async (context) => {
  const [map, ...others] = parseAllDocuments(read("config/kubernetes/sluice.yaml")).map((each) =>
    each.toJS(),
  );
  const { "proxy.yaml": config, ...files } = (map as { data: Record<string, string> }).data;
  const app = await Origin.start(context);
  const sluice = await startSluice(context, config ?? "", {
    files,
    args: [
      "--socket-addr",
      "public=127.0.0.1:0",
      "--external-addr",
      `app=${app.address}`,
      "--admin",
      "unix:admin.sock",
    ],
  });
  assert.equal(await (await fetch(`${sluice.url}/hello`)).text(), "GET /hello");

  const { template } = (others[0] as { spec: { template: { spec: PodSpec } } }).spec;
  const drain = parse(config ?? "").drainTimeout as string;
  assert.ok(Number.parseInt(drain, 10) + 5 < template.spec.terminationGracePeriodSeconds);
});

interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
}

for (const page of ["docs/getting-started.md", "docs/workers.md", "docs/forward-proxy.md"]) {
  test(`the configs in ${page} are right`, async (context) => {
    for (const block of blocks(read(page), "yaml")) {
      if (!/^(sockets|services):/m.test(block)) continue;
      const directory = new TemporaryDirectory(context);
      for (const [, file = ""] of block.matchAll(/main: (\S+)/g)) {
        directory.write(file, "export default { fetch: () => new Response() };");
      }
      directory.write("public/index.html", "");
      const rest = [
        block.startsWith("services:") ? "sockets: {}\n" : "",
        block.includes("service: app }") && !/^ {2}app:/m.test(block)
          ? "  app: { external: { address: 127.0.0.1:1 } }\n"
          : "",
      ];
      directory.write("proxy.yaml", `${rest[0]}${block}${rest[1]}`);
      const { code, stderr } = await runSluice(context, ["check", "proxy.yaml"], { cwd: directory.path });
      assert.equal(code, 0, `${stderr}\n${block}`);
    }
  });
}

for (const page of ["docs/getting-started.md", "docs/workers.md", "docs/forward-proxy.md"]) {
  test(`the Workers in ${page} start`, async (context) => {
    for (const block of blocks(read(page), "ts")) {
      const config =
        "sockets: { public: { address: 127.0.0.1:0, service: shown } }\nservices: { shown: { worker: { main: ./worker.js, compatibilityDate: 2026-11-01 } } }\n";
      const sluice = await startSluice(context, config, { files: { "worker.js": block } });
      await sluice.stop();
    }
  });
}

test("the image copies files that are there, and none that .dockerignore holds back", () => {
  const dockerfile = read("Dockerfile");
  const allowed = read(".dockerignore")
    .split("\n")
    .filter((line) => line.startsWith("!"))
    .map((line) => line.slice(1));
  const copied = [...dockerfile.matchAll(/^COPY ([^-].*) \.\/$/gm)].flatMap((match) =>
    (match[1] ?? "").split(" "),
  );
  const taken = [...dockerfile.matchAll(/cp -r --parents (.*) \/image/g)].flatMap((match) =>
    (match[1] ?? "").split(" "),
  );
  for (const path of [...copied, ...taken, "proxy.yaml", "scripts/build.mjs", "src"]) {
    if (path === "dist" || path === "node_modules") continue;
    assert.ok(existsSync(join(root, path)), `${path} is not there`);
    assert.ok(
      allowed.some((each) => path === each || path.startsWith(`${each}/`)),
      `.dockerignore holds ${path} back`,
    );
  }
  assert.match(
    read("proxy.yaml"),
    /^ {4}address: 127\.0\.0\.1:8080$/m,
    "the image opens this socket to the outside",
  );
});

/** The name that a title has in a link, as on GitHub. */
function anchor(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}
