import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { packageRoot } from "../../src/paths.ts";
import { directoryOf } from "./files.ts";

const execute = promisify(execFile);
const { dependencies } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as {
  dependencies: Record<string, string>;
};

/** Installs the tarball as npm would, with this checkout's copies of what it depends on and of nothing else. */
async function install(t: TestContext): Promise<{ readonly root: string; readonly sluice: string }> {
  const root = directoryOf(t, {
    "proxy.yaml": [
      "sockets:",
      "  public: { address: '127.0.0.1:0', service: hello }",
      "services:",
      "  hello: { worker: { main: ./worker.ts, compatibilityDate: 2026-11-01 } }",
    ].join("\n"),
    "worker.ts": "export default { fetch: (): Response => new Response('hello') };",
  });
  // npm's scripts run `env node`, which has to be the Node.js that runs this test.
  const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}` };
  await execute(process.execPath, ["scripts/build.mjs"], { cwd: packageRoot, env });
  const { stdout } = await execute("npm", ["pack", "--json", "--pack-destination", root], {
    cwd: packageRoot,
    env,
  });
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  assert(!packed.files.some(({ path }) => path.startsWith("src/") || path.startsWith("test/")));
  const modules = join(root, "node_modules");
  const target = join(modules, "sluice");
  mkdirSync(target, { recursive: true });
  await execute("tar", ["-xzf", join(root, packed.filename), "--strip-components=1", "-C", target]);
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(packageRoot, "node_modules", name), join(modules, name));
  }
  return { root, sluice: join(target, "bin", "sluice.mjs") };
}

test("the packed package runs from an empty folder", async (t) => {
  const { root, sluice } = await install(t);
  const run = (...args: string[]) => execute(process.execPath, [sluice, ...args], { cwd: root });
  const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as {
    version: string;
  };
  assert.equal((await run("--version")).stdout, `${version}\n`);
  await run("check");
  await assert.rejects(run("check", "missing.yaml"), (error: { code?: unknown; stderr?: unknown }) => {
    assert.equal(error.code, 1);
    assert.match(String(error.stderr), /missing\.yaml/);
    return true;
  });
});
