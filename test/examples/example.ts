import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { SluiceProcess } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";
import { outputPattern, readClaims } from "./console.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

interface ExampleConfig {
  readonly sockets: Readonly<Record<string, { readonly address: string }>>;
  readonly services: Readonly<Record<string, { readonly external?: { readonly address: string } }>>;
  readonly admin?: { readonly address: string };
}

/** A config of the repository under `sluice serve`, on free ports in place of those that it names. */
export class Example {
  readonly process: SluiceProcess;
  /** The addresses that stand in the config and its README, each with the one that is really used. */
  readonly #addresses: ReadonlyMap<string, string>;
  readonly #test: TestContext;

  private constructor(test: TestContext, process: SluiceProcess, addresses: ReadonlyMap<string, string>) {
    this.#test = test;
    this.process = process;
    this.#addresses = addresses;
  }

  /**
   * Starts it, and waits until every socket listens.
   *
   * @param path of the config, from the root
   * @param environment gets the addresses by what the config says, for configs that take a port from the environment
   */
  static async start(
    test: TestContext,
    path: string,
    environment: (at: (address: string) => string) => Record<string, string> = () => ({}),
  ): Promise<Example> {
    const config = parse(readFileSync(`${root}${path}`, "utf8")) as ExampleConfig;
    const addresses = new Map<string, string>();
    const listeners: Server[] = [];
    const args: string[] = [];
    for (const [name, socket] of Object.entries(config.sockets)) {
      // A port that the config's other side has to know is opened here and handed over, so that nobody else takes it.
      const listener = createServer().listen(0, "127.0.0.1");
      await once(listener, "listening");
      listeners.push(listener);
      addresses.set(socket.address, `127.0.0.1:${(listener.address() as AddressInfo).port}`);
      args.push("--socket-fd", `${name}=${2 + listeners.length}`);
    }
    for (const [name, { external }] of Object.entries(config.services)) {
      const address = external === undefined ? undefined : addresses.get(external.address);
      if (address !== undefined) args.push("--external-addr", `${name}=${address}`);
    }
    if (config.admin !== undefined) {
      const socket = new TemporaryDirectory(test).at("admin.sock");
      addresses.set(config.admin.address, socket);
      args.push("--admin", `unix:${socket}`);
    }
    const sluice = new SluiceProcess(test, ["serve", `${root}${path}`, ...args], {
      descriptors: listeners.map(descriptorOf),
      env: environment((address) => addresses.get(address) ?? address),
    });
    for (const listener of listeners) listener.close();
    for (const name of Object.keys(config.sockets)) await sluice.listening(name);
    return new Example(test, sluice, addresses);
  }

  /** The URL of a path behind the socket that the config has at `address`. */
  url(address: string, path = "/"): string {
    return `http://${this.#addresses.get(address)}${path}`;
  }

  /** Runs a line of shell in which addresses stand as in the config. @returns what a terminal would show */
  async run(command: string): Promise<string> {
    const { stdout } = await shell(this.#translate(command));
    return this.#translateBack(stdout).replaceAll("\r", "");
  }

  /** Runs every command of a README that is marked for CI, and compares what it says. */
  async checkClaims(readme: string): Promise<void> {
    const claims = readClaims(readFileSync(`${root}${readme}`, "utf8"));
    assert.notEqual(claims.length, 0, `${readme} claims nothing`);
    for (const { command, output } of claims) {
      await this.#test
        .test(command, async () => {
          const actual = (await this.run(command)).trimEnd();
          assert.match(
            actual,
            outputPattern(output),
            `expected:\n${output}\ngot:\n${actual}\n${this.process.stderr}`,
          );
        });
    }
  }

  #translate(command: string): string {
    let text = command;
    for (const [stated, real] of this.#addresses) {
      text = real.startsWith("/")
        ? text.replaceAll(`http://${stated}`, `--unix-socket ${real} http://localhost`)
        : text.replaceAll(stated, real);
    }
    return text;
  }

  #translateBack(output: string): string {
    let text = output;
    for (const [stated, real] of this.#addresses) {
      text = text.replaceAll(real, stated).replaceAll(`port ${port(real)} `, `port ${port(stated)} `);
    }
    return text;
  }
}

function port(address: string): string {
  return address.slice(address.lastIndexOf(":") + 1);
}

function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

function shell(command: string): Promise<{ stdout: string }> {
  return new Promise((resolve) => {
    execFile("bash", ["-c", command], { timeout: 60_000 }, (_error, stdout) => resolve({ stdout }));
  });
}
