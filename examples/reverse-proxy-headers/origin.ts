/** Plays the app: it tells which headers it got, and redirects to its internal name. */
export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    const headers = { "x-powered-by": "origin 1.0" };
    if (pathname === "/old") {
      return new Response(null, {
        status: 302,
        headers: { ...headers, location: "http://app.internal/new?from=old" },
      });
    }
    const got = [...request.headers].filter(([name]) => name.startsWith("x-"));
    return new Response(got.map(([name, value]) => `${name}: ${value}\n`).join(""), { headers });
  },
} satisfies ExportedHandler;
