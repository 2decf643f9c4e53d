/** A site to try the proxy with. */
export default {
  fetch(request) {
    return new Response(`${request.method} ${new URL(request.url).pathname}\n`);
  },
} satisfies ExportedHandler;
