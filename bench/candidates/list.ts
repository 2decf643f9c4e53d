import { Caddy } from "./caddy.ts";
import type { Candidate } from "./candidate.ts";
import { HaProxy } from "./haproxy.ts";
import { nginxes } from "./nginx.ts";
import { nodePrograms } from "./node.ts";
import { Sluice } from "./sluice.ts";
import { Workerd } from "./workerd.ts";

/** Everything that can be measured, in the order of the tables. */
export const candidates: readonly Candidate[] = [
  new Sluice(),
  ...nginxes,
  new HaProxy(),
  new Caddy(),
  new Workerd(),
  ...nodePrograms,
];
