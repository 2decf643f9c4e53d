const steps = [
  "you",
  'socket "public"',
  'Worker "gateway"',
  'ExternalServer "app"',
  'socket "origin"',
  'Worker "origin"',
];

const sights: ReadonlyArray<readonly [path: string, text: string]> = [
  ["/headers", "the headers that the origin got, with those that socket and Worker added"],
  ["/json", "JSON from the origin, edited by the Worker on its way back"],
  ["/stream", "ten lines, one each 200 ms, streamed through the Worker untouched"],
  ["/error", "a Worker that throws: you get an id, the log gets the stack"],
  ["/limits", "a Worker that loops for ever: it is stopped, and only this request fails"],
];

/** The tour's first page, in HTML for browsers, in plain text for curl. */
export function page(request: Request): Response {
  const greeting = request.headers.get("x-greeting") ?? "Welcome";
  const isBrowser = request.headers.get("accept")?.includes("text/html") ?? false;
  const headers = { "content-type": `text/${isBrowser ? "html" : "plain"}; charset=utf-8`, vary: "accept" };
  return new Response(isBrowser ? html(greeting) : text(greeting), { headers });
}

function text(greeting: string): string {
  const list = sights.map(([path, what]) => `  ${path.padEnd(10)}${what}\n`).join("");
  return `${greeting}\n\nYour request went this way:\n  ${steps.join("\n  → ")}\n\nTry also:\n${list}`;
}

function html(greeting: string): string {
  const way = steps.map((step) => `<li>${escapeHtml(step)}</li>`).join("");
  const list = sights
    .map(([path, what]) => `<dt><a href="${path}">${path}</a></dt><dd>${what}</dd>`)
    .join("");
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(greeting)}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
  ol { padding-left: 1.5rem }
  dt { font-family: monospace }
  dd { margin: 0 0 .5rem 1.5rem }
</style>
<h1>${escapeHtml(greeting)}</h1>
<p>Your request went this way:</p>
<ol>${way}</ol>
<p>Try also:</p>
<dl>${list}</dl>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
