interface Env {
  readonly API: Fetcher;
  readonly TOKEN: string;
}

/** The way out: adds the token, which the app never holds, and lets only reads through. */
export default {
  async fetch(request, env) {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("only reads are allowed\n", { status: 405, headers: { allow: "GET, HEAD" } });
    }
    const signed = new Request(request);
    signed.headers.set("authorization", `Bearer ${env.TOKEN}`);
    return env.API.fetch(signed);
  },
} satisfies ExportedHandler<Env>;
