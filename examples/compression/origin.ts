const page = `<!doctype html><title>Sluice</title>${"<p>All work and no play makes a proxy dull.".repeat(1000)}\n`;

/** An event each 100 ms, three of them. */
function events(): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let n = 0;
  return new ReadableStream({
    async pull(controller) {
      if (n > 0) await new Promise((resolve) => setTimeout(resolve, 100));
      controller.enqueue(encoder.encode(`data: ${++n}\n\n`));
      if (n === 3) controller.close();
    },
  });
}

export default {
  fetch(request) {
    const headers = { "content-type": "text/html; charset=utf-8", etag: '"one"' };
    switch (new URL(request.url).pathname) {
      case "/":
        return new Response(page, { headers });
      case "/as-it-is":
        return new Response(page, { headers: { ...headers, "cache-control": "no-transform" } });
      case "/events":
        return new Response(events(), { headers: { "content-type": "text/event-stream" } });
      default:
        return new Response("not found\n", { status: 404 });
    }
  },
} satisfies ExportedHandler;
