import type * as http2 from "node:http2";
import type { SocketConfig } from "../../config/schema/socket.ts";
import type { Gauges } from "../../observability/traffic.ts";
import type { ParserLimits } from "../http1/events.ts";

/** Why a connection was ended; see `sluice_http2_connection_errors_total`. */
export type FloodReason = "resets" | "control_frames" | "protocol";

type Config = SocketConfig["http"]["http2"];

/** Frames that break the protocol without ending the connection, after which it ends all the same. */
const invalidFrames = 100;

/** Bytes of request bodies that one connection may have under way; each stream has 64 KiB of its own. */
const connectionWindow = 1_048_576;

/** Without a limit of headers there is still one that memory sets. */
const headerBytesCeiling = 16_777_216;

/** What all HTTP/2 connections of one socket share. */
export class Http2Settings {
  /** Streams a second that may be reset before they are answered; see `FloodGuard`. */
  readonly resets: number;
  /** SETTINGS and PING a second. */
  readonly controlFrames: number;
  readonly connectionWindow: number = connectionWindow;
  readonly options: http2.ServerOptions;
  readonly gauges: Gauges;

  constructor(config: Config, limits: ParserLimits, gauges: Gauges) {
    this.resets = config.resets;
    this.controlFrames = config.controlFrames;
    this.gauges = gauges;
    // Somewhat more than our own limits, so that a request over those gets its 431; past these its stream is reset.
    const listBytes = Math.min(headerBytesCeiling, limits.headerBytes * 2 + limits.headerFields * 32);
    this.options = {
      settings: {
        enablePush: false,
        enableConnectProtocol: true,
        maxConcurrentStreams: config.concurrentStreams,
        maxHeaderListSize: listBytes,
      },
      maxHeaderListPairs: limits.headerFields * 2 + 16,
      maxSessionInvalidFrames: invalidFrames,
      maxSessionRejectedStreams: config.concurrentStreams,
      // Twice what is counted in JavaScript, for what does not get so far.
      streamResetRate: config.resets === 0 ? 2 ** 31 : config.resets * 2,
      streamResetBurst: config.resets === 0 ? 2 ** 31 : config.resets * 20,
      strictSingleValueFields: false,
    };
  }
}

/** Node's HTTP/2 takes some milliseconds to load, for which a shard that never meets it does not wait. */
export function loadHttp2(): typeof http2 {
  return process.getBuiltinModule("node:http2");
}
