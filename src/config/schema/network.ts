import { z } from "zod";
import { NoProxy, parseUpstreamProxy } from "../../net/upstream-proxy.ts";
import { text } from "./common.ts";

/** In place of a URL; see src/config/upstream-proxies.ts, which puts others in its place. */
const environment = "environment";

const networkRule =
  "CIDRs, single addresses, or `public` (the internet), `private` (private and local networks), `local` (this machine), " +
  "`network` (every network, but not this machine), `unix` and `unix-abstract`";

const proxyUrl = text.refine((value) => isRead(() => parseUpstreamProxy(value)), {
  error:
    "expected the URL of a proxy, such as http://proxy.example:3128, https://… or socks5://…, with user and password if need be",
});

const exception = text.refine((value) => isRead(() => new NoProxy([value])), {
  error: "expected a host, an address, a CIDR or *, with a port if need be",
});

function isRead(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

const proxies = z
  .strictObject({
    http: proxyUrl.optional().meta({
      description: "For http requests, which it is sent with their whole URL. Without it they go directly.",
      examples: ["http://proxy.example:3128"],
    }),
    https: proxyUrl.optional().meta({
      description:
        "For https requests, WebSockets and tunnels, for which it is asked to open tunnels. Without it they go directly.",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
      examples: ["http://user:${PROXY_PASSWORD}@proxy.example:3128", "socks5://127.0.0.1:1080"],
    }),
    noProxy: z
      .array(exception)
      .default([])
      .meta({
        description:
          "Hosts that are reached directly: a name with all names below it, an address, a CIDR (of addresses as clients write " +
          "them), or `*`; with a port after it if need be.",
        examples: [["internal.example", "10.0.0.0/8"]],
      }),
    resolve: z
      .enum(["here", "proxy"])
      .default("here")
      .meta({
        description:
          "Where names are resolved. `here`: `allow` and `deny` judge what a name resolves to here, and tunnels are asked for " +
          "by the address that was judged. `proxy`: the proxy gets the name, whatever it means there, and `allow` and " +
          "`deny` judge only addresses that clients write. `socks5h://` says the same.",
        examples: ["proxy"],
      }),
  })
  .meta({ id: "UpstreamProxies", title: "Upstream proxies" });

export const network = z
  .strictObject({
    allow: z
      .array(text)
      .default(["public"])
      .meta({
        description: `Addresses that may be reached: ${networkRule}. Names are resolved first and every address is checked.`,
        examples: [["public"], ["10.0.0.0/8"]],
      }),
    deny: z
      .array(text)
      .default([])
      .meta({
        description: "Addresses that may not be reached although `allow` has them, written in the same way.",
        examples: [["203.0.113.0/24"]],
      }),
    proxy: z
      .union([z.literal(environment), proxyUrl, proxies], {
        error:
          "expected the URL of a proxy, such as http://proxy.example:3128, a map with http and https, or environment",
      })
      .transform((value): z.output<typeof proxies> => {
        if (typeof value !== "string") return value;
        return { http: value, https: value, noProxy: [], resolve: "here" };
      })
      .optional()
      .meta({
        description:
          "A proxy to go through: the URL of one for all (http, https, socks5 or socks5h), or a map. `environment` takes " +
          "them from http_proxy, https_proxy, all_proxy and no_proxy, also in capitals.",
        examples: ["http://proxy.example:3128", "environment"],
      }),
    trust: z
      .array(text)
      .optional()
      .meta({
        description:
          "PEM files of the authorities that may vouch for servers; they replace the public ones. Without it, the public ones.",
        examples: [["./ca.pem"]],
      }),
  })
  .meta({
    id: "Network",
    title: "Network",
    description:
      "Goes where the request's URL says, if the address is allowed. The default keeps Workers off private networks, so " +
      "that a URL from a stranger cannot reach internal services (SSRF).",
    examples: [{ allow: ["public"], deny: ["203.0.113.0/24"] }],
  });
export type NetworkConfig = z.output<typeof network>;
