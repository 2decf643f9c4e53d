/** Shows what it is told of the client. */
export default {
  fetch(request) {
    const names = ["via", "x-forwarded-host", "x-forwarded-proto"];
    return new Response(names.map((name) => `${name}: ${request.headers.get(name)}\n`).join(""));
  },
} satisfies ExportedHandler;
