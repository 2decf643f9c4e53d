/** A site to try the proxy with: it tells whether it got what was meant for the proxy. */
export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    return new Response(
      `${pathname}, proxy-authorization: ${request.headers.get("proxy-authorization") ?? "-"}\n`,
    );
  },
} satisfies ExportedHandler;
