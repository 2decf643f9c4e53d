interface Env {
  readonly NET: Fetcher;
  readonly SHOP: Fetcher;
}

export default {
  /** What clients ask for in their tunnels comes here as any other request, with https in its URL. */
  async fetch(request, env) {
    const { hostname } = new URL(request.url);
    const next = hostname === "shop.test" ? env.SHOP : env.NET;
    const answer = await next.fetch(request);
    const response = new Response(answer.body, answer);
    response.headers.set("x-seen", request.url);
    // What is no business of the site's.
    response.headers.delete("set-cookie");
    return response;
  },

  /** Tunnels that are not opened: those to excluded hosts. */
  async connect(socket, env) {
    return env.NET.connect((await socket.opened).localAddress);
  },
} satisfies ExportedHandler<Env>;
