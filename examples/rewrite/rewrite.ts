import { hideFields } from "./hide-fields.ts";
import { replaceText } from "./replace-text.ts";

interface Env {
  readonly SITE: Fetcher;
  /** HTML. */
  readonly BANNER: string;
  readonly HIDDEN: readonly string[];
}

export default {
  async fetch(request, env) {
    const forwarded = new Request(request);
    // The body must come as it is, not compressed, and whole: a range would be one of the original.
    forwarded.headers.delete("accept-encoding");
    forwarded.headers.delete("range");
    const answer = await env.SITE.fetch(forwarded);
    const body = rewritten(answer, env);
    if (body === null) return answer;

    const response = new Response(body, answer);
    // These speak of the original.
    for (const name of ["content-length", "etag", "accept-ranges", "content-md5"])
      response.headers.delete(name);
    return response;
  },
} satisfies ExportedHandler<Env>;

/** The body as it is to be sent, or null when it is to stay as it is. */
function rewritten(answer: Response, env: Env): ReadableStream<Uint8Array> | null {
  if (answer.body === null) return null;
  switch (answer.headers.get("content-type")?.split(";")[0]?.trim()) {
    case "text/html":
      return answer.body
        .pipeThrough(replaceText("http://site.internal/", "/"))
        .pipeThrough(replaceText("</body>", `${env.BANNER}</body>`));
    case "application/x-ndjson":
      return answer.body.pipeThrough(hideFields(env.HIDDEN));
    default:
      return null;
  }
}
