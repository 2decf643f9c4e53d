import { z } from "zod";
import { duration, size } from "./common.ts";

export const webSockets = z
  .strictObject({
    maxMessageBytes: size.prefault("32MiB").meta({
      description:
        "The longest message that the Worker gets, after decompression; a longer one ends the socket with 1009. What has come of " +
        "messages that are not whole counts against `limits.memoryMb` besides. 0 is no limit but that.",
      examples: ["1MiB"],
    }),
    maxBacklogBytes: size.prefault("4MiB").meta({
      description:
        "Bytes of messages that wait for a peer that does not read; one more message resets the connection, and the Worker " +
        "gets an `error` and a `close` event. `bufferedAmount` tells a Worker how much waits. 0 is no limit.",
      examples: ["1MiB"],
    }),
    pingInterval: duration.prefault("30s").meta({
      description:
        "The pause between two pings that Sluice sends. A peer from which nothing comes for two of them is taken for gone. 0 sends " +
        "none: then a socket on which nothing moves ends after the `idle` time of the listening socket or the external.",
      examples: ["30s"],
    }),
    idleTimeout: duration.prefault(0).meta({
      description:
        "How long a socket may carry no message before it is closed with 1001. Pings do not count. 0 is no limit.",
      examples: ["10m"],
    }),
  })
  .meta({
    id: "WebSockets",
    title: "WebSockets of a Worker",
    description:
      "What the WebSockets that the Worker accepts or opens may take. Those that it passes on are not framed here.",
  });

export type WebSocketConfig = z.output<typeof webSockets>;
