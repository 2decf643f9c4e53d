import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { request } from "node:https";
import type { TestContext } from "node:test";
import { Authority } from "./authority.ts";
import { unused } from "./client.ts";
import { eventually } from "./shard.ts";
import { TemporaryDirectory } from "./temporary.ts";

/** Why tests with Pebble are skipped; false when it is installed. */
export const pebbleMissing: string | false = ["pebble", "pebble-challtestsrv"].every(
  (program) => spawnSync("which", [program]).status === 0,
)
  ? false
  : "pebble is not installed";

/** Let's Encrypt's ACME server for tests, with a DNS server for which every name is 127.0.0.1. */
export class Pebble {
  readonly directory: string;
  /** PEM file of the authority that vouches for the server itself. */
  readonly trust: string;
  /** Where it looks whether names are ours. */
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly #management: string;
  readonly #ca: string;

  private constructor(fields: {
    port: number;
    management: number;
    trust: string;
    ca: string;
    httpPort: number;
    tlsPort: number;
  }) {
    this.directory = `https://127.0.0.1:${fields.port}/dir`;
    this.#management = `https://127.0.0.1:${fields.management}`;
    this.trust = fields.trust;
    this.#ca = fields.ca;
    this.httpPort = fields.httpPort;
    this.tlsPort = fields.tlsPort;
  }

  /** @param eab keys of external accounts by their names; without any none is asked for */
  static async start(test: TestContext, eab: Readonly<Record<string, string>> = {}): Promise<Pebble> {
    const home = new TemporaryDirectory(test);
    const authority = new Authority("Pebble's own");
    const own = authority.issue(["localhost", "127.0.0.1"]);
    const [port, management, dns, httpPort, tlsPort] = [
      await unused(),
      await unused(),
      await unused(),
      await unused(),
      await unused(),
    ];
    const config = {
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: home.write("own.pem", own.certificate),
        privateKey: home.write("own.key", own.key),
        httpPort,
        tlsPort,
        externalAccountBindingRequired: Object.keys(eab).length > 0,
        externalAccountMACKeys: eab,
      },
    };
    const trust = home.write("trust.pem", authority.certificate);
    const names = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", "", "-defaultIPv6", ""];
    run(test, "pebble-challtestsrv", ["-dns01", `127.0.0.1:${dns}`, ...names]);
    run(
      test,
      "pebble",
      ["-config", home.write("pebble.json", JSON.stringify(config)), "-dnsserver", `127.0.0.1:${dns}`],
      { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "20", PEBBLE_AUTHZREUSE: "0" },
    );
    const pebble = new Pebble({ port, management, trust, ca: authority.certificate, httpPort, tlsPort });
    await eventually("Pebble answers", () => pebble.get("/roots/0").then(Boolean, () => false), 30_000);
    return pebble;
  }

  /** PEM of the root under which it issues. */
  root(): Promise<string> {
    return this.get("/roots/0");
  }

  get(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const sent = request(`${this.#management}${path}`, { ca: this.#ca, agent: false }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
        response.on("end", () => resolve(text));
        response.on("error", reject);
      });
      sent.on("error", reject);
      sent.end();
    });
  }
}

function run(test: TestContext, program: string, args: readonly string[], env = {}): ChildProcess {
  const child = spawn(program, args, { stdio: "ignore", env: { PATH: process.env.PATH, ...env } });
  test.after(async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  return child;
}
