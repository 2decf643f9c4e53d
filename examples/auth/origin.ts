/** The app: it believes the header, since only the proxy can set it. */
export default {
  fetch(request) {
    const credentials = request.headers.has("authorization") ? "with credentials" : "without credentials";
    return new Response(`hello ${request.headers.get("x-user") ?? "stranger"}, ${credentials}\n`);
  },
} satisfies ExportedHandler;
