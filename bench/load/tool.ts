import type { Cores } from "../machine/cores.ts";
import { toolPath } from "../machine/tools.ts";
import { H2Load } from "./h2load.ts";
import type { LoadTool } from "./load.ts";
import { Wrk } from "./wrk.ts";

/** wrk, or h2load where there is no wrk. @throws Error when the machine has neither */
export function chooseTool(cores: Cores): LoadTool {
  if (toolPath("wrk") !== null) return new Wrk(cores);
  if (toolPath("h2load") !== null) return new H2Load(cores);
  throw new Error("cannot make load: neither wrk nor h2load is installed");
}
