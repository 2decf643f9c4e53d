/** Plays two services; the config gives each its own socket. */
export const users = {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (request.method === "POST") return Response.json({ created: await request.json() }, { status: 201 });
    return Response.json({ service: "users", path: pathname, authorization: seen(request) });
  },
} satisfies ExportedHandler;

export const orders = {
  fetch(request) {
    const { pathname, search } = new URL(request.url);
    return Response.json({ service: "orders", path: pathname + search, authorization: seen(request) });
  },
} satisfies ExportedHandler;

function seen(request: Request): string | null {
  return request.headers.get("authorization");
}
