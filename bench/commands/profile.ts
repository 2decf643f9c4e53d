import { readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { programs, Sluice } from "../candidates/sluice.ts";
import { check } from "../load/probe.ts";
import { chooseTool } from "../load/tool.ts";
import { output } from "../machine/child.ts";
import { pinned } from "../machine/cores.ts";
import { Place } from "../machine/place.ts";
import { toolPath } from "../machine/tools.ts";
import { UsageError } from "../options.ts";
import { Origin } from "../origin.ts";
import { writeResults } from "../report/results.ts";
import { figure, formatTable } from "../report/table.ts";
import { type Bench, chooseCandidates, tell } from "../session.ts";
import { type Workload, workloads } from "../workload.ts";
import { takeSample } from "./measurement.ts";

/** Samples by what they were found in. */
interface Profile {
  readonly tool: "perf" | "--cpu-prof";
  readonly samples: number;
  /** CPU time a request while this was taken; NaN where it was not measured. */
  readonly cpuMicros: number;
  readonly groups: ReadonlyMap<string, number>;
  readonly functions: ReadonlyMap<string, number>;
  /** By the innermost function of JavaScript on the stack: its own time, and that of native code below it. */
  readonly callers: ReadonlyMap<string, number>;
}

const checkout = fileURLToPath(new URL("../../", import.meta.url));
const shownFunctions = 45;

/**
 * Where the time of Sluice's shard goes. With perf, samples of the kernel, of native code, and of the JavaScript of the
 * host and of the guests; without, V8's own profile, which sees the host alone: a guest's time stands where the host
 * entered it. perf also looks at a peer: `profile plain --only nginx`.
 */
export async function profile(bench: Bench): Promise<void> {
  const { options, cores } = bench;
  const name = options.words[0] ?? "edit";
  const workload = workloads.find((each) => each.name === name);
  if (workload === undefined) throw new UsageError(`cannot find a workload called ${JSON.stringify(name)}`);
  const origin = await Origin.start(cores);
  const place = new Place("profile");
  try {
    const found =
      toolPath("perf") === null
        ? await withV8(bench, origin.port, workload, place)
        : await withPerf(bench, origin.port, workload, place);
    print(found, `${workload.title}, ${found.samples} samples by ${found.tool}`);
    writeResults(`profile-${name}-${options.only[0] ?? "sluice"}`, {
      ...found,
      groups: Object.fromEntries(found.groups),
      functions: Object.fromEntries(found.functions),
      callers: Object.fromEntries(found.callers),
    });
  } finally {
    await origin.stop();
    place.remove();
  }
}

async function withPerf(
  bench: Bench,
  originPort: number,
  workload: Workload,
  place: Place,
): Promise<Profile> {
  const { options, cores } = bench;
  const peer = options.only[0] ?? "sluice";
  // V8 writes what it compiles, in all isolates, to /tmp/perf-PID.map, where perf looks for it.
  const sluice = new Sluice(programs.profiled, { BENCH_SHARD_FLAGS: "--perf-basic-prof" });
  const candidate = peer === "sluice" ? sluice : chooseCandidates(options)[0];
  if (candidate === undefined || !candidate.works.has(workload.work)) {
    throw new UsageError(`cannot profile ${peer}: it cannot do "${workload.work}"`);
  }
  const running = await candidate.start(workload, { cores, originPort });
  // A supervisor's shard, a master's worker, or the one process that there is.
  const pid = running.pids()[1] ?? running.pids()[0] ?? -1;
  const data = `${place.path}/perf.data`;
  try {
    await check(running.port, workload.work, workload);
    const tool = chooseTool(cores, workload);
    const traffic = { ...workload, port: running.port };
    await tool.run({ ...traffic, seconds: 2 });
    const record = [
      "record",
      "-g",
      "-q",
      "-F",
      "1999",
      "-o",
      data,
      "-p",
      String(pid),
      "--",
      "sleep",
      String(options.seconds),
    ];
    const [{ cpuMicros }] = await Promise.all([
      takeSample(running, () => tool.run({ ...traffic, seconds: options.seconds + 1 })),
      output(pinned(cores.load, "perf", record)),
    ]);
    const text = await output(["perf", "script", "-i", data, "-F", "ip,sym,dso"]);
    return { ...readPerf(text), cpuMicros };
  } finally {
    await running.stop();
    rmSync(`/tmp/perf-${pid}.map`, { force: true });
  }
}

/**
 * Samples are blocks of lines such as `  7f12ab JS:*handle file:///…/worker.ts:104:9 (/tmp/perf-12.map)`, the innermost
 * call first. The chain breaks off in native code that keeps no frame pointer.
 */
function readPerf(text: string): Omit<Profile, "cpuMicros"> {
  const groups = new Map<string, number>();
  const functions = new Map<string, number>();
  const callers = new Map<string, number>();
  let samples = 0;
  for (const block of text.split("\n\n")) {
    const frames = block.split("\n").flatMap((line) => {
      const match = /^\s*[0-9a-f]+ (.*) \((.*?)\)\s*$/.exec(line);
      return match === null ? [] : [{ symbol: match[1] ?? "", object: match[2] ?? "" }];
    });
    const [leaf] = frames;
    if (leaf === undefined) continue;
    samples++;
    const { symbol, object } = leaf;
    const code = symbol.startsWith("JS:") ? scriptFunction(symbol) : null;
    const group = code?.group ?? nativeGroup(symbol, object);
    add(groups, group === "kernel" ? `kernel: ${systemCall(frames.map((frame) => frame.symbol))}` : group);
    add(functions, code?.name ?? `${symbol} (${basename(object)})`);
    const caller = frames.find((frame) => frame.symbol.startsWith("JS:"));
    add(callers, caller === undefined ? "(not known)" : scriptFunction(caller.symbol).name);
  }
  return { tool: "perf", samples, groups, functions, callers };
}

/** What a program called the kernel for. On the loopback, a write does most of the receiver's TCP too. */
function systemCall(symbols: readonly string[]): string {
  const entry = symbols.indexOf("do_syscall_64");
  const call = entry > 0 ? symbols[entry - 1] : symbols.find((symbol) => symbol.startsWith("__arm64_sys_"));
  return call?.replace(/^(__x64_sys_|__arm64_sys_|ksys_|__sys_)/, "") ?? "interrupts and the rest";
}

function scriptFunction(symbol: string): { group: string; name: string } {
  // "JS:*name url:line:column"; the mark before the name is the compiler's tier.
  const [, name = "", url = "", line = ""] =
    /^JS:[*^~+']*(.*?) ?(\S*?)(?::(\d+))?(?::\d+)?$/.exec(symbol) ?? [];
  const path = url.startsWith("file://") ? relative(checkout, fileURLToPath(url)) : url;
  const isHost = url.startsWith("file://");
  let group = "guest's JavaScript";
  if (url.startsWith("node:")) group = "Node.js's JavaScript";
  else if (isHost)
    group = `host: ${path
      .split("/")
      .slice(0, 3)
      .join("/")
      .replace(/\/[^/]*\.ts$/, "")}`;
  return { group, name: `${name || "(anonymous)"} ${path}${line === "" ? "" : `:${line}`}` };
}

function nativeGroup(symbol: string, object: string): string {
  if (object.includes("kernel") || object.includes("[vdso]") || object === "[unknown]") return "kernel";
  if (object.includes("isolated_vm") || object.includes("isolated-vm")) return "isolated-vm";
  if (/perf-\d+\.map/.test(object)) return "compiled code without a name";
  if (!object.endsWith("node")) return `library: ${basename(object)}`;
  if (symbol.startsWith("Builtins_")) return "V8: builtins";
  if (/Scaveng|MarkCompact|Marking|Sweep|Heap|Evacuat|GC|Allocat/.test(symbol)) return "V8: memory";
  if (symbol.startsWith("v8::")) return "V8: runtime and API";
  if (/^(uv_|uv__)/.test(symbol)) return "libuv";
  return symbol.startsWith("node::") ? "Node.js: native" : "native code of the node binary";
}

async function withV8(bench: Bench, originPort: number, workload: Workload, place: Place): Promise<Profile> {
  const { options, cores } = bench;
  tell("perf is not installed: V8's profiler shows the host alone");
  const flags = `--cpu-prof --cpu-prof-interval=500 --cpu-prof-dir=${place.path}`;
  const sluice = new Sluice(programs.profiled, { BENCH_SHARD_FLAGS: flags });
  const running = await sluice.start(workload, { cores, originPort });
  try {
    await check(running.port, workload.work, workload);
    await chooseTool(cores, workload).run({ ...workload, port: running.port, seconds: options.seconds + 2 });
  } finally {
    await running.stop();
  }
  const file = readdirSync(place.path).find((name) => name.endsWith(".cpuprofile"));
  if (file === undefined) throw new Error("cannot find the profile: the shard did not end by itself");
  return readCpuProfile(readFileSync(`${place.path}/${file}`, "utf8"));
}

interface CpuProfile {
  readonly nodes: ReadonlyArray<{
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }>;
  readonly samples: readonly number[];
}

function readCpuProfile(text: string): Profile {
  const { nodes, samples } = JSON.parse(text) as CpuProfile;
  const frames = new Map(nodes.map((node) => [node.id, node.callFrame]));
  const groups = new Map<string, number>();
  const functions = new Map<string, number>();
  let counted = 0;
  for (const id of samples) {
    const frame = frames.get(id);
    if (frame === undefined || frame.functionName === "(idle)") continue;
    counted++;
    const { group, name } = scriptFunction(`JS:${frame.functionName} ${frame.url}:${frame.lineNumber + 1}:1`);
    add(groups, frame.url === "" ? "native" : group);
    add(functions, name);
  }
  return {
    tool: "--cpu-prof",
    samples: counted,
    cpuMicros: Number.NaN,
    groups,
    functions,
    callers: new Map(),
  };
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function print({ samples, cpuMicros, groups, functions, callers }: Profile, title: string): void {
  const rows = (counts: ReadonlyMap<string, number>, most: number): string[][] =>
    [...counts]
      .sort((a, b) => b[1] - a[1])
      .slice(0, most)
      .map(([name, count]) => [
        name,
        `${((100 * count) / samples).toFixed(1)} %`,
        figure((cpuMicros * count) / samples),
      ]);
  process.stdout.write(`\n${formatTable([title, "self", "µs/request"], rows(groups, 40))}\n`);
  process.stdout.write(
    `\n${formatTable(["function", "self", "µs/request"], rows(functions, shownFunctions))}\n\n`,
  );
  if (callers.size === 0) return;
  const below = "function of JavaScript, with the native code and the kernel below it";
  process.stdout.write(`${formatTable([below, "", "µs/request"], rows(callers, shownFunctions))}\n\n`);
}
