import { z } from "zod";
import { address, duration, headerEdits, headerName, httpStyle } from "./common.ts";
import { externalTls } from "./tls.ts";

export const external = z
  .strictObject({
    address: address.meta({
      description:
        "The server. Every request goes there, whatever the host in its URL. `--external-addr NAME=ADDR` puts another " +
        "address in its place.",
      examples: ["127.0.0.1:9000", "unix:/run/app.sock"],
    }),
    http: z
      .strictObject({
        style: httpStyle.default("host").meta({
          description:
            "`host`: the server gets a path, and Host names the site. `proxy`: the server is itself a proxy and gets the " +
            "full URL.",
          examples: ["host", "proxy"],
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
      .strictObject({})
      .meta({ id: "ExternalTcp", title: "Byte stream", description: "Takes no keys." })
      .optional()
      .meta({
        description: "The server takes byte streams, not HTTP: for `env.NAME.connect()` and tunnels.",
        examples: [{}],
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
        idle: duration.prefault("60s").meta({
          description: "Without a byte in either direction while a body moves. Every byte starts it anew.",
          examples: ["60s"],
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
              "Connections to the server at one time, in each shard. Requests above it wait for a free one.",
            examples: [1024],
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
        description: "How much the server is asked for.",
      })
      .prefault({}),
  })
  .meta({
    id: "External",
    title: "External server",
    description: "One upstream server. It takes every request, whatever host its URL names.",
    examples: [{ address: "127.0.0.1:9000" }],
  });
export type ExternalConfig = z.output<typeof external>;
