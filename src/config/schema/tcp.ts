import { z } from "zod";
import { connectionLimit, duration, text } from "./common.ts";

/** Byte streams on a socket. */
export const socketTcp = z
  .strictObject({
    sni: z
      .boolean()
      .default(false)
      .meta({
        description:
          "Reads the name that clients ask for in their ClientHello (SNI), and leaves TLS to whoever is at the other end. The " +
          "name is the host that `host:` rules of a router see, and where a network goes. It is empty for a client that names " +
          "nothing or speaks no TLS. A protocol in which the server speaks first cannot be read so. On a socket with `tls` the " +
          "name is known without it.",
        examples: [true],
      }),
    port: z
      .int()
      .min(1)
      .max(65_535)
      .optional()
      .meta({
        description:
          "The port that routers and networks see. Without it, the one that the client connected to.",
        examples: [443],
      }),
    protocols: z
      .array(text)
      .default([])
      .meta({
        description:
          "With `tls`: the protocols that are agreed on by ALPN, the preferred one first. Empty agrees on none.",
        examples: [["postgresql"]],
      }),
    timeouts: z
      .strictObject({
        hello: duration.prefault("5s").meta({
          description: "How long a client may take for its ClientHello, with `sni`.",
          examples: ["5s"],
        }),
        idle: duration.prefault("10m").meta({
          description:
            "Without a byte in either direction; then the connection is closed. The service may have an idle time of its own. " +
            "With 0, clients that are gone without a word are found by TCP's keep-alive.",
          examples: ["1h", 0],
        }),
      })
      .meta({
        id: "SocketTcpTimeouts",
        title: "Timeouts of byte streams",
        description: "How long a client may take. 0 is no limit.",
      })
      .prefault({}),
    limits: z
      .strictObject({
        connections: connectionLimit,
      })
      .meta({ id: "SocketTcpLimits", title: "Limits of byte streams" })
      .prefault({}),
  })
  .meta({
    id: "SocketTcp",
    title: "Byte streams on a socket",
    description:
      "Makes the socket one of byte streams in place of HTTP. Each connection goes to the service as a tunnel: to an external " +
      "with its TLS or without, to a Worker's `connect` handler, or through a router.",
    examples: [{}, { sni: true }],
  });
export type SocketTcpConfig = z.output<typeof socketTcp>;
