import type { Cores } from "../machine/cores.ts";
import { toolPath } from "../machine/tools.ts";
import type { Workload } from "../workload.ts";
import { H2Load } from "./h2load.ts";
import type { LoadTool } from "./load.ts";
import { STime } from "./s-time.ts";
import { Wrk } from "./wrk.ts";

/** wrk, or h2load where there is no wrk; openssl for handshakes. @throws Error when the machine has neither */
export function chooseTool(cores: Cores, { load, protocol }: Pick<Workload, "load" | "protocol">): LoadTool {
  if (load === "handshakes") return new STime(cores);
  if (protocol === "h2c" && toolPath("h2load") !== null) return new H2Load(cores);
  if (protocol !== "h2c" && toolPath("wrk") !== null) return new Wrk(cores);
  if (protocol !== "h2c" && toolPath("h2load") !== null) return new H2Load(cores);
  throw new Error("cannot make load: neither wrk nor h2load is installed, or no h2load for HTTP/2");
}
