export default {
  async fetch(request, env) {
    const headers = new Headers(request.headers);
    headers.set("x-path", new URL(request.url).pathname);
    const response = await env.ORIGIN.fetch(new Request(request, { headers }));
    const edited = new Response(response.body, response);
    edited.headers.set("x-edited", "1");
    return edited;
  },
};
