/** Tells which name the client asked for in its handshake. */
export default {
  fetch(request) {
    return new Response(`hello from ${new URL(request.url).hostname}\n`);
  },
} satisfies ExportedHandler;
