import { parseArgs } from "node:util";

export interface Options {
  /** The first word. */
  readonly command: string;
  /** The words after it. */
  readonly words: readonly string[];
  /** Names of candidates and workloads to keep; empty keeps all. */
  readonly only: readonly string[];
  readonly rounds: number;
  /** Length of one measurement. */
  readonly seconds: number;
  /** Requests a second of the paced workloads, the same for all; 0 is half of each one's own peak. */
  readonly rate: number;
  /** Only the main workloads. */
  readonly isQuick: boolean;
  /** Sluice runs from dist/, as it is published. */
  readonly fromDist: boolean;
  /** MiB to stream each way. */
  readonly mebibytes: number;
}

export class UsageError extends Error {}

/** @throws UsageError */
export function readOptions(args: readonly string[]): Options {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        only: { type: "string", default: "" },
        rounds: { type: "string" },
        seconds: { type: "string" },
        rate: { type: "string", default: "0" },
        size: { type: "string", default: "1024" },
        quick: { type: "boolean", default: false },
        dist: { type: "boolean", default: false },
      },
    });
    const [command = "table", ...words] = positionals;
    return {
      command,
      words,
      only: values.only.split(",").filter((name) => name !== ""),
      rounds: amount("--rounds", values.rounds ?? (values.quick ? "1" : "5")),
      seconds: amount("--seconds", values.seconds ?? (values.quick ? "1" : "3")),
      rate: Number(values.rate),
      isQuick: values.quick,
      fromDist: values.dist,
      mebibytes: amount("--size", values.size),
    };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function amount(flag: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) {
    throw new UsageError(`cannot read ${flag} ${JSON.stringify(text)}: a whole number from 1 is expected`);
  }
  return number;
}
