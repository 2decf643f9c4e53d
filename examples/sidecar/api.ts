/** Plays an API that wants a token. */
export default {
  fetch(request) {
    const { host, pathname } = new URL(request.url);
    if (request.headers.get("authorization") !== "Bearer demo-token") {
      return Response.json({ error: "unauthorized" }, { status: 401 });
    }
    return Response.json({ host, path: pathname, weather: "fair" });
  },
} satisfies ExportedHandler;
