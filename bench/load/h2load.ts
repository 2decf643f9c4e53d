import { output } from "../machine/child.ts";
import { type Cores, pinned } from "../machine/cores.ts";
import { Place } from "../machine/place.ts";
import type { LoadTool, Outcome, Traffic } from "./load.ts";

/** Requests under way on each connection of HTTP/2. */
const streams = 16;

/** h2load, for HTTP/2, and for HTTP/1.1 on machines without wrk. It tells no percentiles. */
export class H2Load implements LoadTool {
  readonly name = "h2load";
  readonly #cores: Cores;
  readonly #place: Place = new Place("h2load");

  constructor(cores: Cores) {
    this.#cores = cores;
  }

  async run(traffic: Traffic): Promise<Outcome> {
    const { protocol, port, path, connections, seconds, upload } = traffic;
    const body = upload > 0 ? ["-d", this.#place.write("body", "u".repeat(upload))] : [];
    // A duration is a whole number of its unit.
    const version = protocol === "h2c" ? [`-m${streams}`] : ["--h1"];
    const load = [...version, "-t1", `-c${connections}`, `-D${Math.round(seconds * 1000)}ms`, ...body];
    const url = `${protocol === "h2c" ? "http" : protocol}://127.0.0.1:${port}${path}`;
    const text = await output(pinned(this.#cores.load, "h2load", [...load, url]));
    const count = (pattern: RegExp): number => {
      const found = pattern.exec(text)?.[1];
      if (found === undefined) throw new Error(`cannot read what h2load printed:\n${text}`);
      return Number(found);
    };
    const good = count(/^status codes: (\d+) 2xx/m);
    const done = count(/^requests: .* (\d+) done,/m);
    const failed = count(/^requests: .* (\d+) failed,/m);
    return {
      good,
      bad: failed + Math.max(0, done - failed - good),
      seconds,
      bytes: count(/^traffic: .*?\((\d+)\) total/m),
      latency: {},
    };
  }
}
