import { z } from "zod";
import {
  address,
  addressRange,
  designator,
  duration,
  headerEdits,
  headerName,
  httpStyle,
  size,
} from "./common.ts";
import { checkForward, destinations, intercept, proxyAuth, socks } from "./forward.ts";
import { socketProxyProtocol } from "./proxy-protocol.ts";
import { socketTcp } from "./tcp.ts";
import { socketTls } from "./tls.ts";

export const socketTimeouts = z
  .strictObject({
    head: duration.prefault("10s").meta({
      description:
        "From the first byte of a request until its headers are complete. A client that sends them byte by byte would " +
        "otherwise hold a connection for ever (Slowloris).",
      examples: ["10s"],
    }),
    idle: duration.prefault("60s").meta({
      description:
        "Without a byte in either direction while a request or response body moves. Every byte starts it anew.",
      examples: ["60s"],
    }),
    keepAlive: duration.prefault("75s").meta({
      description:
        "How long a connection stays open between two requests. Make it longer than that of a load balancer in front, " +
        "which otherwise reuses a connection just as it is closed.",
      examples: ["75s"],
    }),
    request: duration.prefault(0).meta({
      description:
        "From the first byte of a request to the last of its response. Off by default, since long downloads and " +
        "event streams are legitimate.",
      examples: ["5m"],
    }),
  })
  .meta({
    id: "SocketTimeouts",
    title: "Timeouts of a socket",
    description: "How long a client may take. 0 is no limit.",
  });

export const socketLimits = z
  .strictObject({
    headerBytes: size.prefault("64KiB").meta({
      description: "Bytes of all headers of a request together; above it the answer is 431. 0 is no limit.",
      examples: ["64KiB"],
    }),
    headerFields: z
      .int()
      .positive()
      .default(200)
      .meta({
        description: "Number of headers of a request; above it the answer is 431.",
        examples: [200],
      }),
    bodyBytes: size.prefault(0).meta({
      description:
        "Bytes of a request's body; above it the answer is 413. Bodies are streamed, so 0, no limit, is safe here.",
      examples: ["100MB"],
    }),
    connections: z
      .int()
      .positive()
      .default(10_000)
      .meta({
        description: "Connections of this socket at one time, in each shard.",
        examples: [10_000],
      }),
    minBodyRate: size.prefault(0).meta({
      description:
        "Bytes a second that a request's body must bring on average, or the request ends with 408. 0 is off; turn it on " +
        "where clients are hostile and none is on a very slow line.",
      examples: ["1KiB"],
    }),
  })
  .meta({ id: "SocketLimits", title: "Limits of a socket", description: "How much a client may send." });

export const socketHttp2 = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .meta({
        description:
          "HTTP/2 for clients that ask for it: by ALPN on a socket with `tls`, otherwise with prior knowledge (h2c).",
        examples: [false],
      }),
    concurrentStreams: z
      .int()
      .positive()
      .max(65_535, { error: "expected at most 65535 streams" })
      .default(128)
      .meta({
        description: "Requests that one connection may have under way at one time; more are refused.",
        examples: [100],
      }),
    resets: z
      .int()
      .nonnegative()
      .max(1_000_000, { error: "expected at most 1000000 a second" })
      .default(50)
      .meta({
        description:
          "Requests a second, on average over ten seconds, that a connection may take back or break before they are answered. " +
          "A client that does more ends the connection (CVE-2023-44487, CVE-2025-8671). 0 is no limit.",
        examples: [50],
      }),
    controlFrames: z
      .int()
      .nonnegative()
      .max(1_000_000, { error: "expected at most 1000000 a second" })
      .default(100)
      .meta({
        description:
          "SETTINGS and PING a second, on average over ten seconds, that a connection may send; more end it. 0 is no limit.",
        examples: [100],
      }),
  })
  .meta({
    id: "SocketHttp2",
    title: "HTTP/2 on a socket",
    description: "HTTP/2 and what bounds its clients.",
  });

export const socketHttp = z
  .strictObject({
    style: httpStyle.default("host").meta({
      description:
        "`host`: requests name a path, and Host names the site, as clients send to a server (reverse proxy). `proxy`: " +
        "requests name a full URL, or CONNECT names a host and port, as clients send to a proxy (forward proxy).",
      examples: ["host", "proxy"],
    }),
    forwardedProtoHeader: headerName.optional().meta({
      description:
        "The header in which a proxy in front tells `http` or `https`. It sets the scheme of `request.url`, and is removed " +
        "from the request. Set it only where that proxy always overwrites what clients send.",
      examples: ["x-forwarded-proto"],
    }),
    trustedProxies: z
      .array(addressRange)
      .default([])
      .meta({
        description:
          "Proxies and load balancers in front, as addresses and CIDRs, that are believed what they tell of the client. Of " +
          "the hops in their `trustedHeader` the last that is none of them is the client: in `request.cf`, the access log, " +
          "balancing, and what servers are told. From all others X-Forwarded-* and Forwarded are discarded.",
        examples: [["10.0.0.0/8", "fd00::/8"]],
      }),
    trustedHeader: z
      .enum(["x-forwarded-for", "forwarded"])
      .default("x-forwarded-for")
      .meta({
        description:
          "Where `trustedProxies` tell the client: X-Forwarded-For with X-Forwarded-Proto and X-Forwarded-Host, or Forwarded " +
          "(RFC 7239). The other is discarded: a proxy that does not know it lets through what clients write there.",
        examples: ["forwarded"],
      }),
    via: z
      .string()
      .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z:-]{1,100}$/, { error: "expected a name or host and port for Via" })
      .optional()
      .meta({
        description:
          "The name under which requests and responses tell in Via that they came through here. A request that tells it " +
          "already goes in a circle, and is answered 508. Without it, Via is left as it is.",
        examples: ["edge-1"],
      }),
    injectRequestHeaders: headerEdits.default({}).meta({
      description: "Edits to the headers of each request, before any service sees them.",
      examples: [{ "x-edge": "1", "x-debug": null }],
    }),
    injectResponseHeaders: headerEdits.default({}).meta({
      description: "Edits to the headers of each response, after every service.",
      examples: [{ server: "sluice" }],
    }),
    timeouts: socketTimeouts.prefault({}),
    limits: socketLimits.prefault({}),
    http2: socketHttp2.prefault({}),
  })
  .meta({ id: "SocketHttp", title: "HTTP on a socket", description: "How the socket speaks HTTP." });

export const socket = z
  .strictObject({
    address: address.meta({
      description:
        "Where it listens. `--socket-addr NAME=ADDR` and `--socket-fd NAME=FD` put another address in its place.",
      examples: ["*:8080", "unix:/run/sluice.sock"],
    }),
    service: designator.meta({ description: "Who answers the requests that arrive.", examples: ["gateway"] }),
    http: socketHttp.prefault({}),
    tls: socketTls.optional(),
    proxyAuth: proxyAuth.optional(),
    destinations: destinations.optional(),
    intercept: intercept.optional(),
    tcp: socketTcp.optional(),
    socks: socks.optional(),
    proxyProtocol: socketProxyProtocol.optional().meta({
      description:
        "Reads HAProxy's PROXY protocol, version 1 and 2: the preamble by which a proxy in front tells of the client of a " +
        "connection. What it tells replaces the peer's address everywhere. `accept` takes it from the `trustedProxies` of " +
        "`http`; a map names who is trusted with it.",
      examples: ["accept", { from: ["10.0.0.0/8"] }],
    }),
  })
  .superRefine(checkForward)
  .meta({
    id: "Socket",
    title: "Socket",
    description: "An inbound listener: an address, and the service that its requests go to.",
    examples: [{ address: "*:8080", service: "gateway" }],
  });

export type SocketConfig = z.output<typeof socket>;
