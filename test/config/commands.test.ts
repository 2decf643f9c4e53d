import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

const root = join(import.meta.dirname, "..", "..");

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  args: readonly string[],
  cwd: string,
  environment: Record<string, string> = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...process.env, SLUICE_CACHE_DIR: join(cwd, ".cache"), ...environment };
    execFile(process.execPath, args, { cwd, env }, (error, stdout, stderr) => {
      resolve({
        code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1,
        stdout,
        stderr,
      });
    });
  });
}

const sluice = (args: readonly string[], cwd: string, environment?: Record<string, string>) =>
  run([join(root, "bin", "sluice.mjs"), ...args], cwd, environment);

describe("the command line about configs", () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "sluice-config-"));
  });
  after(() => {
    rmSync(directory, { recursive: true });
  });

  test("init writes a project that check accepts and TypeScript compiles", async () => {
    const made = await sluice(["init", "fresh"], directory);
    assert.equal(made.stderr, "");
    assert.equal(made.code, 0);
    assert.match(made.stdout, /sluice serve fresh\/proxy\.yaml/);
    const project = join(directory, "fresh");
    assert.match(readFileSync(join(project, "proxy.yaml"), "utf8"), /^# yaml-language-server: \$schema=/);
    assert.deepEqual(await sluice(["check"], project), { code: 0, stdout: "", stderr: "" });
    const compiled = await run([join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "."], project);
    assert.deepEqual(compiled, { code: 0, stdout: "", stderr: "" });
  });

  test("init overwrites nothing", async () => {
    const project = mkdtempSync(join(directory, "used-"));
    writeFileSync(join(project, "package.json"), "mine");
    const made = await sluice(["init"], project);
    assert.equal(made.code, 1);
    assert.equal(made.stderr, 'sluice: cannot write a project to ".": package.json exists already\n');
    assert.equal(readFileSync(join(project, "package.json"), "utf8"), "mine");
    assert.throws(() => readFileSync(join(project, "proxy.yaml")));
  });

  test("check reports mistakes of the config and of its Workers in one run", async () => {
    const project = mkdtempSync(join(directory, "wrong-"));
    writeFileSync(join(project, "w.ts"), 'import "./nowhere.ts";\nexport default {;\n');
    writeFileSync(
      join(project, "proxy.yaml"),
      "sockets: { a: { address: nowhere, service: w } }\nservices: { w: { worker: { main: ./w.ts, compatibilityDate: 2026-01-01 } } }\n",
    );
    const checked = await sluice(["check", "--shards", "none"], project, { FORCE_COLOR: "1" });
    assert.equal(checked.code, 1);
    assert.equal(checked.stdout, "");
    assert.match(checked.stderr, /^error: cannot apply --shards: /);
    assert.match(checked.stderr, /^proxy\.yaml:1:26: error: cannot read address "nowhere": /m);
    assert.match(
      checked.stderr,
      /^w\.ts:2:17: error: Worker "w": cannot .*\n {3}2 \| export default \{;\n {5}\| {17}\^$/m,
    );
    assert.ok(!checked.stderr.includes("\u001b"), "no colours but on a terminal");
  });

  test("check passes with warnings", async () => {
    const project = mkdtempSync(join(directory, "warn-"));
    writeFileSync(join(project, "w.js"), "export default { fetch() { return new Response(); } };\n");
    writeFileSync(
      join(project, "other.yaml"),
      "sockets: {}\nservices: { w: { worker: { main: ./w.js, compatibilityDate: 2026-01-01, compatibilityFlags: [new_thing] } } }\n",
    );
    const checked = await sluice(["check", "other.yaml"], project);
    assert.equal(checked.code, 0);
    assert.match(
      checked.stderr,
      /^other\.yaml:2:\d+: warning: compatibility flag "new_thing" changes nothing/,
    );
  });

  test("check reports a config that is not there", async () => {
    const checked = await sluice(["check", "none.yaml"], directory);
    assert.equal(checked.code, 1);
    assert.match(checked.stderr, /^error: cannot read config ".*none\.yaml": there is no such file\n$/);
  });
});

test("the JSON Schema and the reference are current", async () => {
  assert.deepEqual(await run([join(root, "scripts", "schema.mjs"), "--check"], root), {
    code: 0,
    stdout: "",
    stderr: "",
  });
});
