interface Env {
  readonly NET: Fetcher;
  readonly BLOCKED: readonly string[];
  /** Separated by spaces. */
  readonly PORTS: string;
}

export default {
  /** A plain http request, with its full URL. */
  async fetch(request, env) {
    const url = new URL(request.url);
    const refusal = judge(url.hostname, url.port || "80", env);
    if (refusal !== null) return new Response(`${refusal}\n`, { status: 403 });

    const forwarded = new Request(request);
    forwarded.headers.set("sec-gpc", "1");
    const referer = forwarded.headers.get("referer");
    if (referer !== null && !isSameOrigin(referer, url)) forwarded.headers.delete("referer");

    const answer = await env.NET.fetch(forwarded);
    const response = new Response(answer.body, answer);
    response.headers.set("x-filtered-by", "sluice");
    return response;
  },

  /** CONNECT: a tunnel, for https as a rule. What goes through it is the client's own secret. */
  async connect(socket, env) {
    const { localAddress: target } = await socket.opened;
    const colon = target.lastIndexOf(":");
    const refusal = judge(target.slice(0, colon), target.slice(colon + 1), env);
    if (refusal !== null) return new Response(null, { status: 403 });
    // The two are joined on the host; no byte of the tunnel enters this isolate.
    return env.NET.connect(target);
  },
} satisfies ExportedHandler<Env>;

/** Why nobody may go there, or null. */
function judge(hostname: string, port: string, env: Env): string | null {
  // `ads.example.` is the same name as `ads.example`.
  const host = hostname.toLowerCase().replace(/\.$/, "");
  if (env.BLOCKED.some((name) => host === name || host.endsWith(`.${name}`))) return `${host} is blocked`;
  if (!env.PORTS.split(" ").includes(port)) return `port ${port} is blocked`;
  return null;
}

function isSameOrigin(referer: string, url: URL): boolean {
  return URL.canParse(referer) && new URL(referer).origin === url.origin;
}
