import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { collect } from "../integration/network-harness.ts";
import { WorkerBench } from "../integration/worker-harness.ts";

/** Where the packages lie; they are no dependencies of Sluice, and installed here when they are missing. */
const packages =
  process.env.SLUICE_TEST_PACKAGES ??
  join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "sluice-packages");

const versions: Readonly<Record<string, string>> = {
  bcryptjs: "3.0.3",
  busboy: "1.6.0",
  commander: "15.1.0",
  "date-fns": "4.4.0",
  debug: "4.4.3",
  express: "5.3.0",
  graphql: "17.1.0",
  "iconv-lite": "0.7.3",
  jsonwebtoken: "9.0.3",
  lodash: "4.18.1",
  "mime-types": "3.0.2",
  qs: "6.17.1",
  semver: "7.8.6",
  uuid: "14.0.3",
  winston: "3.19.0",
};

const isThere = (name: string): boolean => existsSync(join(packages, "node_modules", name));

/** Why the packages cannot be had, or false. */
function install(): string | false {
  if (Object.keys(versions).every(isThere)) return false;
  const names = Object.entries(versions).map(([name, version]) => `${name}@${version}`);
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
  try {
    mkdirSync(packages, { recursive: true });
    execFileSync("npm", ["install", "--prefix", packages, ...flags, ...names], { timeout: 120_000 });
    return false;
  } catch (error) {
    return `cannot install the packages: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Programs as bodies of asynchronous functions, by their packages: what they return is to be the same as in Node. */
const programs: Readonly<Record<string, string>> = {
  bcryptjs: `const b = require("bcryptjs"); return b.compareSync("pw", b.hashSync("pw", 4));`,
  busboy: `const busboy = require("busboy"); const out = [];
    await new Promise((resolve, reject) => {
      const b = busboy({ headers: { "content-type": "multipart/form-data; boundary=x" } });
      b.on("field", (n, v) => out.push([n, v]));
      b.on("file", (n, s, i) => { let t = ""; s.on("data", (d) => (t += d)); s.on("end", () => out.push([n, i.filename, t])); });
      b.on("close", resolve); b.on("error", reject);
      b.end('--x\\r\\nContent-Disposition: form-data; name="a"\\r\\n\\r\\n1\\r\\n--x\\r\\n' +
        'Content-Disposition: form-data; name="f"; filename="f.txt"\\r\\nContent-Type: text/plain\\r\\n\\r\\nfile body\\r\\n--x--\\r\\n');
    });
    return out;`,
  commander: `const { Command } = require("commander"); const p = new Command(); p.option("-n, --name <x>").exitOverride();
    p.parse(["--name", "y"], { from: "user" }); return p.opts();`,
  "date-fns": `const { format, addDays } = require("date-fns"); return format(addDays(new Date(Date.UTC(2026, 0, 1, 12)), 1), "yyyy-MM-dd");`,
  debug: `const d = require("debug")("x"); d("hidden"); return !!d.enabled;`,
  express: `const app = require("express")(); app.get("/x", (q, s) => s.json({ ok: 1 })); return typeof app.handle;`,
  graphql: `const { graphql, buildSchema } = require("graphql");
    return graphql({ schema: buildSchema("type Query { hello(n: Int): String }"), source: "{ hello(n: 2) }",
      rootValue: { hello: async ({ n }) => "hi " + n } });`,
  "iconv-lite": `const iconv = require("iconv-lite"); return [iconv.encode("héllo €", "win1252").toString("hex"),
    iconv.decode(Buffer.from([0x82, 0xa0]), "shift_jis"), iconv.decode(iconv.encode("ab😀", "utf16le"), "utf16le")];`,
  jsonwebtoken: `const jwt = require("jsonwebtoken"); const { generateKeyPairSync } = require("crypto");
    const t = jwt.sign({ a: 1, iat: 1 }, "secret"); const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const wrong = (() => { try { jwt.verify(t, "wrong"); } catch (e) { return e.name; } })();
    return [t, jwt.verify(t, "secret"), wrong, jwt.verify(jwt.sign({ a: 1, iat: 1 }, privateKey, { algorithm: "ES256" }), publicKey)];`,
  lodash: `const _ = require("lodash"); return [_.chunk([1, 2, 3, 4, 5], 2), _.isBuffer(Buffer.from("a"))];`,
  "mime-types": `const mime = require("mime-types"); return [mime.lookup("a.html"), mime.contentType("x.json")];`,
  qs: `const qs = require("qs"); return [qs.parse("a[b]=1&a[c][]=2"), qs.stringify({ a: { b: [1, 2] } })];`,
  semver: `const s = require("semver"); return [s.satisfies("1.2.3", "^1.0.0"), s.inc("1.2.3", "minor")];`,
  uuid: `const { v5, validate, v4 } = require("uuid"); return [v5("x", v5.URL), validate(v4())];`,
  winston: `const winston = require("winston"); const { Writable } = require("stream"); const lines = [];
    const stream = new Writable({ write(c, e, done) { lines.push(String(c)); done(); } });
    const log = winston.createLogger({ format: winston.format.json(), transports: [new winston.transports.Stream({ stream })] });
    log.info("hello", { a: 1 }); await new Promise((resolve) => setTimeout(resolve, 30)); return lines;`,
};

const skip = install();
for (const [name, body] of Object.entries(programs)) {
  test(`${name} does in a Worker what it does in Node`, { skip }, async (t) => {
    const place = mkdtempSync(join(packages, "program-"));
    t.after(() => rmSync(place, { recursive: true, force: true }));
    const program = `module.exports = async () => { ${body} };`;
    writeFileSync(join(place, "program.cjs"), program);
    const show = `require("./program.cjs")().then((value) => process.stdout.write(JSON.stringify(value)))`;
    const { stdout } = await promisify(execFile)(process.execPath, ["-e", show], { cwd: place });
    const code = `import program from ${JSON.stringify(join(place, "program.cjs"))};
      export default { async fetch() { return Response.json(await program()); } };`;
    const limits = { cpuMs: 2000, startupMs: 5000 };
    const bench = await WorkerBench.start({ main: { code, flags: ["nodejs_compat"], limits } });
    t.after(() => bench.stop());
    const answer = await collect(bench.worker(), {});
    assert.equal(answer.text, stdout);
  });
}
