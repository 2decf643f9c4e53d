const people = [
  { name: "Ada", email: "ada@site.internal", city: "London" },
  { name: "Grace", phone: "555-0100", city: "New York" },
  { name: "Alan", email: "alan@site.internal", city: "Manchester" },
];

/** Plays the site. Its page comes in pieces that cut tags in two, and its list a line at a time. */
export default {
  fetch(request) {
    switch (new URL(request.url).pathname) {
      case "/":
        return paced("text/html; charset=utf-8", [
          '<html><body><a href="http://site.int',
          'ernal/people">People</a></bo',
          "dy></html>\n",
        ]);
      case "/people":
        return paced(
          "application/x-ndjson",
          people.map((person) => `${JSON.stringify(person)}\n`),
        );
      case "/plain":
        return new Response("http://site.internal/ stays in plain text </body>\n");
      default:
        return new Response("not found\n", { status: 404 });
    }
  },
} satisfies ExportedHandler;

function paced(type: string, pieces: readonly string[]): Response {
  const encoder = new TextEncoder();
  let next = 0;
  const body = new ReadableStream({
    async pull(controller) {
      if (next > 0) await new Promise((resolve) => setTimeout(resolve, 100));
      controller.enqueue(encoder.encode(pieces[next++]));
      if (next === pieces.length) controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": type } });
}
