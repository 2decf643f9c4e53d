interface Env {
  /** The sidecar's outbound socket; a real app has its address in its settings. */
  readonly OUTBOUND: Fetcher;
}

/** Plays the app. */
export default {
  async fetch(request, env) {
    switch (new URL(request.url).pathname) {
      case "/healthz":
        return new Response("ok\n");
      case "/public/weather": {
        const answer = await env.OUTBOUND.fetch("http://api.example/v1/weather");
        return Response.json({ app: "weather", api: await answer.json() });
      }
      case "/admin":
        return new Response("the app's admin page\n");
      default:
        return new Response("no such page in the app\n", { status: 404 });
    }
  },
} satisfies ExportedHandler<Env>;
