import type { Channel } from "./channel.ts";
import type { Invocation } from "./context.ts";
import type { Outbound } from "./fetcher.ts";
import type { BodyReaders } from "./handle-body.ts";
import type { Handlers } from "./handlers.ts";
import type { OutStreams } from "./out-streams.ts";

/** What the part `rpc` needs of the bridge. */
export interface RpcLink {
  readonly channel: Channel;
  readonly readers: BodyReaders;
  readonly outs: OutStreams;
  readonly outbound: Outbound;
  readonly handlers: Handlers;
  /** Begins an event. @param handler the host's number of an entrypoint with its props */
  begin(exchange: number, handler: number): { readonly invocation: Invocation; readonly entrypoint: string };
  /** An event that is not over. */
  invocation(exchange: number): Invocation | undefined;
  /** Tells the log of an exception that nobody can catch. */
  exception(exchange: number, error: unknown): void;
}

/** Reads the pieces of a record from the host; see wire/ops.ts. */
export interface RecordReader {
  text(length: number): string;
  bytes(offset: number, length: number): Uint8Array;
}

export let link: RpcLink;

/** Called once, by the runtime's entry. */
export function setRpcLink(made: RpcLink): void {
  link = made;
}
