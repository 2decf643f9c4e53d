import { output } from "../machine/child.ts";
import { type Cores, pinned } from "../machine/cores.ts";
import type { LoadTool, Outcome, Traffic } from "./load.ts";

/**
 * openssl's s_time: one connection after the other, none of which resumes a session, as wrk's do when it opens many. It
 * looks at no status; an answer without bytes is a bad one.
 */
export class STime implements LoadTool {
  readonly name = "openssl s_time";
  readonly #cores: Cores;

  constructor(cores: Cores) {
    this.#cores = cores;
  }

  async run({ port, path, seconds }: Traffic): Promise<Outcome> {
    const args = ["s_time", "-connect", `127.0.0.1:${port}`, "-new", "-www", path, "-time", String(seconds)];
    const text = await output(pinned(this.#cores.load, "openssl", args));
    const found = /^(\d+) connections in (\d+) real seconds, (\d+) bytes read per connection/m.exec(text);
    if (found === null) throw new Error(`cannot read what openssl printed:\n${text.slice(-500)}`);
    const [connections = 0, real = 0, each = 0] = found.slice(1).map(Number);
    const isGood = each > 0;
    return {
      good: isGood ? connections : 0,
      bad: isGood ? 0 : connections,
      seconds: real,
      bytes: connections * each,
      latency: {},
    };
  }
}
