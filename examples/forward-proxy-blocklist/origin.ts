/** A site to try the proxy with: it tells which of the edited headers it got. */
export default {
  fetch(request) {
    const shown = ["sec-gpc", "referer"].map((name) => `${name}: ${request.headers.get(name) ?? "-"}\n`);
    return new Response(shown.join(""));
  },
} satisfies ExportedHandler;
