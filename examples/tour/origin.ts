import { page } from "./page.ts";

/** Plays the app behind the proxy. */
export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case "/":
        return page(request);
      case "/headers":
        return Response.json(Object.fromEntries(request.headers));
      case "/json":
        return Response.json({ from: "origin", numbers: [1, 2, 3] });
      case "/stream":
        return new Response(lines(10, 200), { headers: { "content-type": "text/plain; charset=utf-8" } });
      default:
        return new Response("not found: / lists what there is\n", { status: 404 });
    }
  },
} satisfies ExportedHandler;

/** Lines of text with a pause of so many milliseconds between them; each reaches the client when it is written. */
function lines(count: number, pause: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let sent = 0;
  return new ReadableStream({
    async pull(controller) {
      if (sent > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      sent++;
      controller.enqueue(encoder.encode(`line ${sent} of ${count}\n`));
      if (sent === count) controller.close();
    },
  });
}
