export default {
  async fetch(request, env) {
    const response = await env.ORIGIN.fetch(request);
    const document = await response.json();
    for (const item of document.items) item.price *= 2;
    document.edited = true;
    return Response.json(document);
  },
};
