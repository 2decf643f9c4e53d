import type { ProbeFile } from "./both.ts";

/** The files of probes, in `fixtures/`. */
export const probeFiles: readonly ProbeFile[] = [
  { name: "globals", node: true },
  { name: "fetching" },
  { name: "urls" },
  { name: "streaming" },
  { name: "html" },
  { name: "platform" },
  { name: "cryptography" },
  { name: "calls", beside: ["peer"] },
  { name: "node", node: true, onlyTheirs: true },
];
