import { output } from "../machine/child.ts";
import { type Cores, pinned } from "../machine/cores.ts";
import { Place } from "../machine/place.ts";
import type { LoadTool, Outcome, Traffic } from "./load.ts";

/** wrk with one thread. It calls a status from 400 on an error, so the origin and the candidates send no redirects. */
export class Wrk implements LoadTool {
  readonly name = "wrk";
  readonly #cores: Cores;
  readonly #place: Place = new Place("wrk");

  constructor(cores: Cores) {
    this.#cores = cores;
  }

  async run(traffic: Traffic): Promise<Outcome> {
    const { protocol, port, path, connections, seconds, upload } = traffic;
    const script = this.#place.write("load.lua", lua(upload));
    const load = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", script];
    const url = `${protocol}://127.0.0.1:${port}${path}`;
    const text = await output(pinned(this.#cores.load, "wrk", [...load, url]));
    const line = /^outcome (\{.*\})$/m.exec(text)?.[1];
    if (line === undefined) throw new Error(`cannot read what wrk printed:\n${text}`);
    const { requests, status, socket, us, bytes, latency } = JSON.parse(line) as WrkOutcome;
    // wrk counts an answer with a bad status as a request, an error of a socket as none.
    return { good: requests - status, bad: status + socket, seconds: us / 1e6, bytes, latency };
  }
}

interface WrkOutcome {
  readonly requests: number;
  readonly status: number;
  readonly socket: number;
  readonly us: number;
  readonly bytes: number;
  readonly latency: Outcome["latency"];
}

function lua(upload: number): string {
  const request = upload > 0 ? `wrk.method = "POST"\nwrk.body = string.rep("u", ${upload})\n` : "";
  return `${request}function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\\noutcome {"requests":%d,"status":%d,"socket":%d,"us":%d,"bytes":%d,'
      .. '"latency":{"p50":%d,"p90":%d,"p99":%d,"p99.9":%d,"max":%d}}\\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max))
end
`;
}
