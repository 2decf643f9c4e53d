interface Env {
  /** What follows this Worker where it stands as a middleware. */
  readonly next: Fetcher;
}

/** Writes on each answer which place it came by. */
export default {
  async fetch(request, env, ctx) {
    const answer = await env.next.fetch(request);
    const response = new Response(answer.body, answer);
    response.headers.set("x-stamp", (ctx.props as { place: string }).place);
    return response;
  },
} satisfies ExportedHandler<Env>;
