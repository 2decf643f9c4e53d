interface Env {
  readonly APP: Fetcher;
}

const security = {
  "content-security-policy": "default-src 'self'",
  "referrer-policy": "strict-origin-when-cross-origin",
  "x-content-type-options": "nosniff",
};

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const id = crypto.randomUUID();

    const forwarded = new Request(request);
    // The app trusts these, so a client must not be able to send its own.
    for (const name of [...forwarded.headers.keys()]) {
      if (name.startsWith("x-internal-") || name.startsWith("x-forwarded-")) forwarded.headers.delete(name);
    }
    forwarded.headers.set("x-forwarded-host", url.host);
    forwarded.headers.set("x-forwarded-proto", url.protocol.slice(0, -1));
    forwarded.headers.set("x-request-id", id);

    const answer = await env.APP.fetch(forwarded);
    const response = new Response(answer.body, answer);
    for (const [name, value] of Object.entries(security)) response.headers.set(name, value);
    response.headers.set("x-request-id", id);
    relocate(response.headers, url);
    return response;
  },
} satisfies ExportedHandler<Env>;

/** The app knows itself by its internal name; a redirect to that would lead clients nowhere. */
function relocate(headers: Headers, url: URL): void {
  const location = headers.get("location");
  if (location === null) return;
  const target = new URL(location, url);
  if (target.hostname !== "app.internal") return;
  headers.set("location", `${url.origin}${target.pathname}${target.search}${target.hash}`);
}
