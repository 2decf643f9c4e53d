import { z } from "zod";
import { connectionLimit, duration } from "./common.ts";
import { keypair } from "./tls.ts";
import { userSource } from "./users.ts";

/** A host as rules write it: `example.com`, `*.example.com`, `*`, `[::1]`, each with or without a port. */
export const hostPattern = z
  .string()
  .refine((value) => !value.includes("/"), {
    error:
      "expected a host: ranges of addresses stand in a network's allow and deny, which judge what names resolve to",
  })
  .refine((value) => value.includes("/") || isPattern(value), {
    error: "expected a host such as example.com, *.example.com or *, with a port if need be",
  });

function isPattern(value: string): boolean {
  const match = /^(?:\*|(?:\*\.)?[^\s*@?#\\:[\]]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?$/.exec(value);
  const port = Number(match?.[1] ?? 1);
  return match !== null && value.length <= 260 && port >= 1 && port <= 65_535;
}

const port = z.int().min(1, "expected a port from 1 to 65535").max(65_535, "expected a port from 1 to 65535");

export const destinations = z
  .strictObject({
    allow: z
      .array(hostPattern)
      .default(["*"])
      .meta({
        description:
          "Hosts that clients may ask for; `*.example.com` is every name below it, and `:port` after a host asks for that " +
          "port. An address counts however the client writes it.",
        examples: [["*"], ["example.com", "*.example.com"]],
      }),
    deny: z
      .array(hostPattern)
      .default([])
      .meta({
        description:
          "Hosts that they may not ask for although `allow` has them. What a name resolves to is judged by the `network`.",
        examples: [["ads.example", "*.ads.example"]],
      }),
    ports: z
      .array(port)
      .default([])
      .meta({
        description: "Ports that they may ask for. Empty means every port.",
        examples: [[80, 443]],
      }),
    tunnelPorts: z
      .array(port)
      .optional()
      .meta({
        description:
          "The same for tunnels (CONNECT), in place of `ports`. A tunnel carries anything, mail and remote shells too.",
        examples: [[443]],
      }),
  })
  .meta({
    id: "Destinations",
    title: "Destinations",
    description:
      "Where the clients of a forward proxy may go, by host and port, before any service is asked: 403 for all else.",
    examples: [{ deny: ["*.ads.example"], ports: [80, 443], tunnelPorts: [443] }],
  });
export type DestinationsConfig = z.output<typeof destinations>;

export const proxyAuth = z
  .strictObject({
    ...userSource,
    realm: z
      .string()
      .regex(/^[\x20-\x7e]{1,100}$/, { error: "expected a name of 1 to 100 ASCII characters" })
      .default("proxy")
      .meta({ description: "What the proxy is called where the user is asked.", examples: ["Example Ltd"] }),
  })
  .meta({
    id: "ProxyAuth",
    title: "Proxy authentication",
    description:
      "Asks the clients of a forward proxy for a user and password: 407 without them. They go no further.",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
    examples: [{ users: { ada: "${ADA_PASSWORD}" } }],
  });
export type ProxyAuthConfig = z.output<typeof proxyAuth>;

export const intercept = z
  .strictObject({
    hosts: z
      .array(hostPattern)
      .min(1, { error: "expected at least one host; * is every host" })
      .meta({
        description:
          "Hosts whose tunnels are opened: the TLS in them ends here, and the requests go to the socket's service as https " +
          "requests. `*.example.com` is every name below it, and `:port` after a host asks for that port.",
        examples: [["*"], ["example.com", "*.example.com"]],
      }),
    exclude: z
      .array(hostPattern)
      .default([])
      .meta({
        description:
          "Hosts that are tunnelled unopened although `hosts` has them: banks, health, and clients that accept one " +
          "certificate alone.",
        examples: [["*.bank.example"]],
      }),
    authority: keypair.optional().meta({
      description:
        "The authority that signs for the hosts, when it is not to be the local one that is made on first use. Whoever has " +
        "its key can pass for every site to the clients that trust it.",
    }),
    notTls: z
      .enum(["refuse", "tunnel"])
      .default("refuse")
      .meta({
        description:
          "What becomes of a tunnel in which the client speaks something else than TLS: it is closed, or goes unopened to " +
          "the service.",
        examples: ["tunnel"],
      }),
    minVersion: z
      .enum(["TLSv1.2", "TLSv1.3"])
      .default("TLSv1.2")
      .meta({
        description: "The oldest version of TLS that clients may speak.",
        examples: ["TLSv1.3"],
      }),
    handshakeTimeout: duration.prefault("10s").meta({
      description: "How long a client may take for the handshake.",
      examples: ["5s"],
    }),
  })
  .meta({
    id: "Intercept",
    title: "TLS interception",
    description:
      "Opens the TLS in tunnels, for clients that trust the interception CA: `sluice cert install --ca interception`.",
    examples: [{ hosts: ["*"], exclude: ["*.bank.example"] }],
  });
export type InterceptConfig = z.output<typeof intercept>;

export const socks = z
  .strictObject({
    timeouts: z
      .strictObject({
        handshake: duration.prefault("10s").meta({
          description: "From the connection until its request is complete, the check of a password included.",
          examples: ["5s"],
        }),
        idle: duration.prefault("10m").meta({
          description: "Without a byte in either direction of a tunnel; then it is closed.",
          examples: ["1h", 0],
        }),
      })
      .meta({
        id: "SocksTimeouts",
        title: "Timeouts of SOCKS",
        description: "How long a client may take. 0 is no limit.",
      })
      .prefault({}),
    limits: z
      .strictObject({
        connections: connectionLimit,
      })
      .meta({ id: "SocksLimits", title: "Limits of SOCKS" })
      .prefault({}),
  })
  .meta({
    id: "Socks",
    title: "SOCKS on a socket",
    description:
      "Makes the socket one of SOCKS 5 (RFC 1928) in place of HTTP, with CONNECT alone. Each connection goes to the service as " +
      "a tunnel. `proxyAuth` asks for user and password.",
    examples: [{}],
  });
export type SocksConfig = z.output<typeof socks>;

/** Keys of a forward proxy mean nothing on a socket that is none. */
export function checkForward(
  socket: {
    readonly http: { readonly style: string };
    readonly socks?: unknown;
    readonly proxyAuth?: unknown;
    readonly destinations?: unknown;
    readonly intercept?: unknown;
  },
  context: z.RefinementCtx,
): void {
  if (socket.http.style === "proxy" || socket.socks !== undefined) return;
  for (const key of ["proxyAuth", "destinations", "intercept"] as const) {
    if (socket[key] === undefined) continue;
    const message = `expected no ${key} here: it is for forward proxies, with http: { style: proxy } or socks: {}`;
    context.addIssue({ code: "custom", path: [key], message });
  }
}
