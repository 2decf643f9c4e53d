interface Env {
  readonly APP: Fetcher;
  readonly GREETING: string;
}

/** Stands between the socket and the app: most requests pass with a header more, some paths show what else it can do. */
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/error") return fail();
    if (pathname === "/limits") return loop();

    const forwarded = new Request(request);
    forwarded.headers.append("x-tour", "Worker gateway");
    forwarded.headers.set("x-greeting", env.GREETING);
    const answer = await env.APP.fetch(forwarded);
    if (pathname === "/json") return withGreeting(answer, env.GREETING);

    // The body is handed on as it is: its bytes go from the origin to the client and never enter this isolate.
    const response = new Response(answer.body, answer);
    response.headers.set("x-gateway", "passed");
    return response;
  },
} satisfies ExportedHandler<Env>;

/** Reads the body, and answers with another. */
async function withGreeting(answer: Response, greeting: string): Promise<Response> {
  const data = (await answer.json()) as Record<string, unknown>;
  return Response.json({ ...data, greeting, editedBy: "gateway" });
}

/** The client gets an error id; this text, and the stack with this file and line, go to the log alone. */
function fail(): never {
  throw new Error("the tour fails here on purpose");
}

/** Is stopped once it has used its CPU time. The next request finds the Worker in a fresh isolate. */
function loop(): never {
  for (let turns = 0; ; turns++) Math.sqrt(turns);
}
