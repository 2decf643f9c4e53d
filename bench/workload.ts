/** Bytes of the origin's `/json`. */
export const jsonBytes = 10_240;

/** Bytes of the origin's `/large`. */
export const largeBytes = 1024 ** 2;

/** What the proxy does with a request. The same script does it in every candidate that has scripts. */
export type Work =
  /** Forward, no script. */
  | "plain"
  /** A script answers with a text; no upstream. */
  | "string"
  /** A script forwards what it was given. */
  | "pass"
  /** Read the path, set a request header from it, forward, add a response header. */
  | "edit"
  /** A script forwards to a second script over a service binding, which forwards. */
  | "chain"
  /** A script parses a 10 KB JSON document, changes 100 numbers and serialises it. */
  | "json";

/** What clients speak to the proxy; `h2c` is HTTP/2 without TLS. The origin is always asked in plain HTTP/1.1. */
export type Protocol = "http" | "https" | "h2c";

/** What the origin offers; see origin.ts. */
export type OriginPath = "/small" | "/json" | "/large" | "/sink";

export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly work: Work;
  readonly path: OriginPath;
  /** Bytes of each request's body; 0 sends GET. */
  readonly upload: number;
  /** Bytes of each answer's body; at least so many, where a script changes it. */
  readonly download: number;
  readonly connections: number;
  readonly protocol: Protocol;
  /**
   * `paced`: requests at a fixed rate, half of the candidate's peak, whether or not answers come. `handshakes`: one
   * connection after the other, each with a handshake in full and one request.
   */
  readonly load: "closed" | "paced" | "handshakes";
  /** Candidates without scripts forward plainly, which is the same as far as the origin and the client can see. */
  readonly plainWillDo: boolean;
  /** Belongs to `--quick`. */
  readonly isMain: boolean;
}

const common = {
  path: "/small",
  upload: 0,
  download: 102,
  connections: 64,
  protocol: "http",
  load: "closed",
  plainWillDo: false,
  isMain: false,
} as const satisfies Partial<Workload>;

/** Bodies that no script touches, through a Worker where a candidate has them. */
const bodies = { ...common, work: "pass", plainWillDo: true } as const;
const sink = { ...bodies, path: "/sink", download: 3 } as const;

/** Few connections, each with many streams; see `streams` in load/h2load.ts. */
const h2 = { protocol: "h2c", connections: 8 } as const;

export const workloads: readonly Workload[] = [
  { ...common, name: "plain", title: "no Worker", work: "plain", isMain: true },
  { ...common, name: "string", title: "Worker returns a text", work: "string", download: 20, isMain: true },
  { ...common, name: "pass", title: "Worker passes through", work: "pass", isMain: true },
  { ...common, name: "edit", title: "Worker edits headers", work: "edit", isMain: true },
  { ...common, name: "chain", title: "two Workers, chained by a service binding", work: "chain" },
  {
    ...common,
    name: "json",
    title: "Worker rewrites 10 KB of JSON",
    work: "json",
    path: "/json",
    download: jsonBytes,
  },
  { ...bodies, name: "down-10k", title: "10 KB down, untouched", path: "/json", download: jsonBytes },
  {
    ...bodies,
    name: "down-1m",
    title: "1 MiB down, untouched",
    path: "/large",
    download: largeBytes,
    connections: 16,
    isMain: true,
  },
  { ...sink, name: "up-10k", title: "10 KB up, untouched", upload: jsonBytes },
  { ...sink, name: "up-1m", title: "1 MiB up, untouched", upload: largeBytes, connections: 16 },
  { ...common, name: "plain-c1", title: "no Worker, 1 connection", work: "plain", connections: 1 },
  { ...common, name: "plain-c512", title: "no Worker, 512 connections", work: "plain", connections: 512 },
  { ...common, name: "edit-c1", title: "Worker edits headers, 1 connection", work: "edit", connections: 1 },
  {
    ...common,
    name: "edit-c512",
    title: "Worker edits headers, 512 connections",
    work: "edit",
    connections: 512,
  },
  { ...common, name: "plain-half", title: "no Worker, at half of the peak", work: "plain", load: "paced" },
  {
    ...common,
    name: "edit-half",
    title: "Worker edits headers, at half of the peak",
    work: "edit",
    load: "paced",
  },
  { ...common, name: "tls-plain", title: "TLS, no Worker", work: "plain", protocol: "https" },
  { ...common, name: "tls-edit", title: "TLS, Worker edits headers", work: "edit", protocol: "https" },
  {
    ...common,
    name: "tls-handshake",
    title: "TLS, a connection and a full handshake for each request, no Worker",
    work: "plain",
    protocol: "https",
    connections: 1,
    load: "handshakes",
  },
  { ...common, ...h2, name: "h2-plain", title: "HTTP/2, no Worker", work: "plain" },
  { ...common, ...h2, name: "h2-edit", title: "HTTP/2, Worker edits headers", work: "edit" },
];
