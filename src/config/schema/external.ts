import { z } from "zod";
import { address, duration, headerEdits, headerName, httpStyle, text } from "./common.ts";
import { health } from "./health.ts";
import { externalProxyProtocol } from "./proxy-protocol.ts";
import { externalTls } from "./tls.ts";
import { balance, resolve, retries, sticky, type UpstreamAddress, upstreamAddress } from "./upstream.ts";

/** Milliseconds without a byte after which a server's connection is closed: with HTTP, and as a stream of bytes. */
const idleMs = 60_000;
const tunnelIdleMs = 600_000;

export const external = z
  .strictObject({
    address: address.optional().meta({
      description:
        "The server. Every request goes there, whatever the host in its URL. `--external-addr NAME=ADDR` puts another " +
        "address in its place. Each address of a host name is an endpoint of its own.",
      examples: ["127.0.0.1:9000", "unix:/run/app.sock"],
    }),
    addresses: z
      .array(upstreamAddress)
      .min(1, { error: "expected at least one address" })
      .optional()
      .meta({
        description: "Several servers that do the same, in place of `address`.",
        examples: [["10.0.0.1:9000", { address: "10.0.0.2:9000", weight: 2 }]],
      }),
    balance: balance.prefault("roundRobin").meta({
      description: "Which of several endpoints a request goes to.",
      examples: ["leastRequests", { hash: "client" }],
    }),
    sticky: sticky.optional().meta({
      description: "Keeps a client with its endpoint by a cookie.",
      examples: [{ cookie: "server" }],
    }),
    health: health.prefault({}),
    retries: retries.optional().meta({
      description:
        "What is sent again after a failure. Without it, a request whose connection cannot be opened is tried on up to two " +
        "other endpoints. In any case a request is sent once more when a kept connection turns out to be closed.",
      examples: [{ attempts: 2, on: ["connect", "reset", 503] }],
    }),
    warm: z
      .int()
      .min(0)
      .max(1000)
      .default(0)
      .meta({
        description:
          "Connections to each endpoint that are opened before a request needs them, in each shard.",
        examples: [2],
      }),
    resolve: resolve.prefault({}),
    http: z
      .strictObject({
        style: httpStyle.default("host").meta({
          description:
            "`host`: the server gets a path, and Host names the site. `proxy`: the server is itself a proxy and gets the " +
            "full URL.",
          examples: ["host", "proxy"],
        }),
        version: z
          .literal([1, 2], { error: "expected 1 or 2" })
          .default(1)
          .meta({
            description:
              "The major version of HTTP. `2` is asked for by ALPN with `tls`, and otherwise spoken with prior knowledge (h2c): " +
              "many requests share a connection, and trailers go both ways, as gRPC needs. There is no way back to `1`.",
            examples: [2],
          }),
        pingInterval: duration.prefault(0).meta({
          description:
            "The pause between two PING that ask an HTTP/2 server whether it is still there, while requests are under way. A " +
            "server that has not answered one when the next is due has lost the connection. 0 sends none.",
          examples: ["30s"],
        }),
        forwardedProtoHeader: headerName.optional().meta({
          description:
            "The header that tells the server `http` or `https`, from the scheme of the request's URL.",
          examples: ["x-forwarded-proto"],
        }),
        forwarded: z
          .enum(["x-forwarded", "forwarded", "both", "none"])
          .default("x-forwarded")
          .meta({
            description:
              "How the server is told of the client: `x-forwarded` is X-Forwarded-For, -Proto and -Host, `forwarded` is " +
              "Forwarded (RFC 7239). What a Worker or `injectRequestHeaders` of the socket has set stays. In proxy style, and " +
              "for requests that no client led to, nothing is told.",
            examples: ["both", "none"],
          }),
        clientCertificateHeader: headerName.optional().meta({
          description:
            "The header that brings the client's certificate to the server, as in Client-Cert (RFC 9440), if it has one that " +
            "was verified. What a client writes there is removed.",
          examples: ["client-cert"],
        }),
        injectRequestHeaders: headerEdits.default({}).meta({
          description: "Edits to the headers of each request to the server. The place for its credentials.",
          // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
          examples: [{ authorization: "Bearer ${APP_TOKEN}" }],
        }),
        injectResponseHeaders: headerEdits.default({}).meta({
          description: "Edits to the headers of each response of the server.",
          examples: [{ "x-powered-by": null }],
        }),
      })
      .meta({ id: "ExternalHttp", title: "HTTP to a server", description: "How the server is spoken to." })
      .prefault({}),
    tls: externalTls.optional().meta({
      description:
        "Speaks TLS to the server and verifies its certificate, always. `{}` is enough for a public server.",
    }),
    tcp: z
      .strictObject({
        trust: z
          .array(text)
          .default([])
          .meta({
            description:
              "PEM files of the authorities that may vouch for the server when a Worker speaks TLS with it, by `secureTransport` " +
              "or `startTls()`. Empty means the public ones. TLS from the start, for everybody, is `tls`.",
            examples: [["./ca.pem"]],
          }),
      })
      .meta({ id: "ExternalTcp", title: "Byte stream" })
      .optional()
      .meta({
        description: "The server takes byte streams, not HTTP: for `env.NAME.connect()` and tunnels.",
        examples: [{}],
      }),
    proxyProtocol: externalProxyProtocol.optional().meta({
      description:
        "Begins each connection with HAProxy's PROXY preamble, before TLS, which tells the server the client of the connection. " +
        "A connection then belongs to one client: none is used for a second request. `send` is version 2.",
      examples: ["send", { version: 1 }],
    }),
    timeouts: z
      .strictObject({
        connect: duration.prefault("5s").meta({
          description: "Until a connection stands, the wait for a free one included; then the answer is 504.",
          examples: ["5s"],
        }),
        head: duration.prefault("60s").meta({
          description: "From the end of the request to the response's headers; then the answer is 504.",
          examples: ["60s"],
        }),
        idle: duration.optional().meta({
          description:
            "Without a byte in either direction while a body moves. Every byte starts it anew. It is 60s, and 10m for byte " +
            "streams, `tcp`.",
          examples: ["60s", "1h"],
        }),
        total: duration.prefault(0).meta({
          description: "For the whole exchange, the response's body included.",
          examples: ["5m"],
        }),
        keepAlive: duration.prefault("60s").meta({
          description:
            "How long an idle connection is kept for the next request. Make it shorter than the server's own, so that the " +
            "server does not close a connection that is just being used.",
          examples: ["60s"],
        }),
      })
      .meta({
        id: "ExternalTimeouts",
        title: "Timeouts of a server",
        description: "How long the server may take. 0 is no limit.",
      })
      .prefault({}),
    limits: z
      .strictObject({
        connections: z
          .int()
          .positive()
          .default(1024)
          .meta({
            description:
              "Connections to each endpoint at one time, in each shard. Requests above it wait for a free one.",
            examples: [1024],
          }),
        pending: z
          .int()
          .nonnegative()
          .default(0)
          .meta({
            description:
              "Requests that may wait for a connection, in each shard, to all endpoints together. Above it the answer is 503 " +
              "with Retry-After. 0 is no limit.",
            examples: [100],
          }),
        requests: z
          .int()
          .nonnegative()
          .default(0)
          .meta({
            description:
              "Requests and streams under way at one time, in each shard, to all endpoints together. Above it the answer is 503 " +
              "with Retry-After. 0 is no limit.",
            examples: [1000],
          }),
        idleConnections: z
          .int()
          .nonnegative()
          .default(1024)
          .meta({
            description: "How many of them are kept open while no request needs them.",
            examples: [1024],
          }),
      })
      .meta({
        id: "ExternalLimits",
        title: "Limits of a server",
        description: "How much the servers are asked for.",
      })
      .prefault({}),
  })
  .meta({
    id: "External",
    title: "External server",
    description:
      "An upstream server, or several that do the same. It takes every request, whatever host its URL names.",
    examples: [{ address: "127.0.0.1:9000" }],
  })
  .transform(({ address, addresses, timeouts, ...others }, context) => {
    const idle = timeouts.idle ?? (others.tcp === undefined ? idleMs : tunnelIdleMs);
    const rest = { ...others, timeouts: { ...timeouts, idle } };
    const all = addresses ?? (address === undefined ? [] : [{ address, weight: 1, backup: false }]);
    if (all.length > 0) return { ...rest, addresses: all as readonly UpstreamAddress[] };
    // src/config/upstreams.ts reports it.
    context.addIssue({ code: "custom", message: "expected address", params: { reportedByKinds: true } });
    return z.NEVER;
  });
export type ExternalConfig = z.output<typeof external>;
