/** Plays a gRPC server that knows no method yet. */
export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    const headers = {
      "content-type": "application/grpc",
      "grpc-status": "12",
      "grpc-message": `unknown method ${pathname}`,
    };
    return new Response(null, { headers });
  },
} satisfies ExportedHandler;
