import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Example } from "./example.ts";

const directory = fileURLToPath(new URL("../../examples/", import.meta.url));
const names = readdirSync(directory, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== "tour")
  .map((entry) => entry.name);

for (const name of names) {
  test(`${name} does what its README says`, async (context) => {
    const example = await Example.start(context, `examples/${name}/proxy.yaml`, (at) => ({
      // forward-proxy-blocklist lets clients go to listed ports only.
      DEMO_PORT: at("127.0.0.1:9083").replace("127.0.0.1:", ""),
      // load-balancing has several addresses in one external.
      SERVER_ONE: at("127.0.0.1:9113"),
      SERVER_TWO: at("127.0.0.1:9114"),
      SERVER_SPARE: at("127.0.0.1:9115"),
    }));
    await example.checkClaims(`examples/${name}/README.md`);
  });
}

test("the tour does what its README says", async (context) => {
  const example = await Example.start(context, "proxy.yaml");
  await example.checkClaims("examples/tour/README.md");
});

test("the main README's commands give what it says", async (context) => {
  const example = await Example.start(context, "proxy.yaml");
  await example.checkClaims("README.md");
});

test("the list of examples names every example, and ports of their own", () => {
  const list = readFileSync(`${directory}README.md`, "utf8");
  const taken = new Map<string, string>();
  for (const name of names) {
    const row = list.split("\n").find((line) => line.startsWith(`| [${name}](${name}/)`));
    assert.ok(row !== undefined, `examples/README.md does not name ${name}`);
    const config = readFileSync(`${directory}${name}/proxy.yaml`, "utf8");
    for (const [, port = ""] of config.matchAll(/^ {4}address: 127\.0\.0\.1:(\d+)$/gm)) {
      assert.ok(row.includes(port), `examples/README.md does not name port ${port} of ${name}`);
      assert.equal(taken.get(port), undefined, `port ${port} is in two examples`);
      taken.set(port, name);
    }
  }
});
