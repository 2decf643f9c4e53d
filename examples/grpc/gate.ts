interface Env {
  readonly APP: Fetcher;
}

/** An answer of headers alone, as gRPC refuses a call before it begins ("trailers-only"). */
function refuse(status: number, message: string): Response {
  const headers = {
    "content-type": "application/grpc",
    "grpc-status": String(status),
    "grpc-message": message,
  };
  return new Response(null, { headers });
}

export default {
  async fetch(request, env) {
    if (request.headers.get("content-type")?.startsWith("application/grpc") !== true) {
      return new Response("expected gRPC\n", { status: 415 });
    }
    if (request.headers.get("authorization") !== "Bearer demo") return refuse(16, "a token is missing");
    // Messages and trailers pass beside the Worker, both ways, for as long as the call lasts.
    return env.APP.fetch(request);
  },
} satisfies ExportedHandler<Env>;
