import { Child } from "../machine/child.ts";
import { pinned } from "../machine/cores.ts";
import { Place } from "../machine/place.ts";
import { freePort } from "../machine/port.ts";
import { processTree } from "../machine/processes.ts";
import type { Running, Surroundings } from "./candidate.ts";

/** How to start a program once its config is written. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
}

/**
 * Starts a program on the proxy's core, with a directory and a port of its own, and waits until it listens.
 *
 * @param prepare writes the config
 */
export async function startProgram(
  name: string,
  surroundings: Surroundings,
  prepare: (place: Place, port: number) => Launch,
): Promise<Running> {
  const place = new Place(name);
  const port = await freePort();
  const { command, args, env } = prepare(place, port);
  const child = new Child(pinned(surroundings.cores.proxy, command, args), {
    cwd: place.path,
    ...(env === undefined ? {} : { env }),
  });
  await child.listens(port);
  return {
    port,
    pids: () => processTree(child.pid),
    output: () => child.output,
    async stop() {
      await child.stop();
      place.remove();
    },
  };
}
