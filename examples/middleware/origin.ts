/** Plays the app: tells who asks. */
export default {
  fetch(request) {
    const user = request.headers.get("x-user") ?? "stranger";
    return new Response(`hello ${user}\n`, { headers: { "x-powered-by": "origin" } });
  },
} satisfies ExportedHandler;
