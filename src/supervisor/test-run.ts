import { randomBytes } from "node:crypto";
import type { LogSettings } from "../observability/process-log.ts";
import type { TestResult } from "../shard/protocol.ts";
import { noChallenges } from "../tls/acme-challenges.ts";
import type { Revision } from "./revision.ts";
import { ShardProcess, type ShardProgram } from "./shard-process.ts";

/** No socket is opened, so there is nothing to encrypt. */
const noTls = { ticketKeys: new Uint8Array(48), certificates: {}, challenges: noChallenges };

/**
 * Runs the `test` handlers of a revision's Workers in a shard of their own, which opens no socket.
 *
 * @param filter only tests whose name contains it; null runs all
 * @throws Error when a Worker does not start, or the shard dies on the way
 */
export function runTests(
  revision: Revision,
  program: ShardProgram,
  log: LogSettings,
  filter: string | null,
): Promise<readonly TestResult[]> {
  return new Promise((resolve, reject) => {
    const shard = new ShardProcess(1, program, () => performance.now());
    let results: readonly TestResult[] | null = null;
    const { config, workers, runtime, userFiles } = revision;
    shard.begin(
      {
        init: {
          generation: 1,
          shard: 0,
          config,
          workers,
          runtime,
          quarantined: [],
          log,
          tls: noTls,
          secret: randomBytes(32),
          userFiles,
        },
        sockets: [],
      },
      {
        onReady: () => shard.send({ type: "test", filter }),
        onListening() {},
        onSnapshot() {},
        onFailed(_shard, _reason, text) {
          reject(new Error(text));
          shard.kill();
        },
        onTested(told) {
          results = told;
          shard.send({ type: "drain", graceMs: 0, isLast: true });
        },
        onExit(_shard, death) {
          if (results !== null) resolve(results);
          else
            reject(
              new Error(
                `cannot finish the tests: the shard ended (${death.signal ?? `exit code ${death.code}`})`,
              ),
            );
        },
      },
    );
  });
}
