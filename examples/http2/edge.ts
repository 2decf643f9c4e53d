interface Env {
  readonly APP: Fetcher;
}

/** What Sluice tells of the client's connection. */
interface FromClient extends Request {
  readonly cf: { readonly httpProtocol: string };
}

export default {
  async fetch(request, env) {
    const response = await env.APP.fetch(request);
    const answer = new Response(response.body, response);
    answer.headers.set("x-client-speaks", (request as FromClient).cf.httpProtocol);
    return answer;
  },
} satisfies ExportedHandler<Env>;
