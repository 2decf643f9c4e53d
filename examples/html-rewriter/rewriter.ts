interface Env {
  readonly SITE: Fetcher;
  readonly BANNER: string;
}

export default {
  async fetch(request, env) {
    const response = await env.SITE.fetch(request);
    const type = response.headers.get("content-type") ?? "";
    // What is no page passes beside the Worker.
    if (!type.startsWith("text/html")) return response;
    const nonce = crypto.randomUUID();
    const rewritten = new HTMLRewriter()
      .on("body", {
        element(body) {
          // Text, unless told otherwise: what is in it cannot become markup.
          body
            .prepend("</div>", { html: true })
            .prepend(env.BANNER)
            .prepend("\n<div class=banner>", { html: true });
          body.append("<footer>served by Sluice</footer>\n", { html: true });
        },
      })
      .on("a[href^='http://shop.internal/']", {
        element(link) {
          const { pathname } = new URL(link.getAttribute("href") ?? "");
          link.setAttribute("href", pathname);
        },
      })
      .on("script[src]", {
        element(script) {
          script.setAttribute("nonce", nonce);
        },
      })
      .onDocument({
        comments(comment) {
          comment.remove();
        },
      })
      .transform(response);
    rewritten.headers.set("content-security-policy", `script-src 'nonce-${nonce}'`);
    return rewritten;
  },
} satisfies ExportedHandler<Env>;
