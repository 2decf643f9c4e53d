import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { command, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const config = `
sockets:
  public: { address: "127.0.0.1:0", service: page, tls: { development: [shop.internal] } }
services:
  page: { router: [{ respond: { status: 200, body: "<p id=it>a page of {host}</p>", headers: { content-type: text/html } } }] }
`;

const run = promisify(execFile);

/** Why the system's store cannot be changed where nobody sees it. */
function scratchMissing(): string | false {
  if (spawnSync("unshare", ["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).status !== 0) {
    return "no mount namespace of our own can be had";
  }
  return existsSync("/usr/sbin/update-ca-certificates") ? false : "ca-certificates is not installed";
}

test(
  "cert install makes the system trust the CA, and remove takes it back",
  { skip: scratchMissing() },
  async (t) => {
    const home = new TemporaryDirectory(t);
    const env = { SLUICE_DATA_DIR: join(home.path, "data"), HOME: home.path };
    const sluice = await startSluice(t, config, { env });
    const script = home.write(
      "script.sh",
      `set -e
mount -t tmpfs none /usr/local/share/ca-certificates
cp -a /etc/ssl/certs ${home.path}/certs
mount --bind ${home.path}/certs /etc/ssl/certs
ask() { curl -sS ${sluice.url}/ -o /dev/null -w '%{http_code}' 2>/dev/null || true; }
sluice() { "${process.execPath}" "${command}" cert "$@" --store system; }
echo "before $(ask)"
sluice install
echo "installed $(ask)"
sluice install
sluice remove
echo "removed $(ask)"
ls /usr/local/share/ca-certificates
`,
    );
    const { stdout } = await run("unshare", ["-m", "bash", script], {
      env: { PATH: process.env.PATH, ...env },
    });
    const said = stdout.trim().split("\n");
    assert.deepEqual(
      said.map((line) => line.replace(/ \(.*\)$/, "")),
      [
        "before 000",
        "the system trusts it",
        "installed 200",
        "the system trusts it",
        "the system has forgotten it",
        "removed 000",
      ],
    );
  },
);

const chromium = ["chromium", "chromium-browser"].find((name) => spawnSync("which", [name]).status === 0);
const hasCertutil = spawnSync("certutil", ["-H"]).error === undefined;
const browserMissing =
  chromium === undefined ? "chromium is not installed" : hasCertutil ? false : "certutil is not installed";

test(
  "Chromium loads a page once cert install has told it of the CA, and refuses it before",
  { skip: browserMissing },
  async (t) => {
    const home = new TemporaryDirectory(t);
    const env = { SLUICE_DATA_DIR: join(home.path, "data"), HOME: home.path };
    const sluice = await startSluice(t, config, { env });
    const { port } = new URL(sluice.url);
    const load = async (host: string): Promise<string> => {
      const args = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
      ];
      const names = "--host-resolver-rules=MAP *.test 127.0.0.1, MAP shop.internal 127.0.0.1";
      const { stdout } = await run(
        chromium ?? "",
        [...args, names, `--user-data-dir=${home.at("profile")}`, "--dump-dom", `https://${host}:${port}/`],
        { env: { PATH: process.env.PATH, HOME: home.path }, timeout: 60_000 },
      );
      return stdout;
    };
    assert.equal((await load("localhost")).includes("a page of"), false);
    const installed = await runSluice(t, ["cert", "install", "--store", "nss"], { env });
    assert.equal(installed.code, 0, installed.stderr);
    assert.match(installed.stdout, /Chromium trusts it/);
    for (const host of ["localhost", "127.0.0.1", "a.localhost", "cart.shop.test", "shop.internal"]) {
      assert.match(await load(host), /<p id="it">a page of/, host);
    }
    assert.match(
      execFileSync("certutil", ["-L", "-d", `sql:${home.path}/.pki/nssdb`], { encoding: "utf8" }),
      /sluice-development-/,
    );
    assert.equal((await runSluice(t, ["cert", "remove", "--store", "nss"], { env })).code, 0);
    assert.equal((await load("localhost")).includes("a page of"), false);
  },
);
