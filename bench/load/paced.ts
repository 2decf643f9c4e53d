import { fileURLToPath } from "node:url";
import { output } from "../machine/child.ts";
import { type Cores, pinned } from "../machine/cores.ts";
import type { Outcome, Traffic } from "./load.ts";

const client = fileURLToPath(new URL("./paced-client.ts", import.meta.url));

/** Sends `rate` requests a second, on the load's core. Bodies are for the tools that send as fast as they can. */
export async function runPaced(cores: Cores, traffic: Traffic, rate: number): Promise<Outcome> {
  const { port, path, connections, seconds } = traffic;
  const words = [client, port, path, connections, rate, seconds].map(String);
  return JSON.parse(await output(pinned(cores.load, process.execPath, words))) as Outcome;
}
