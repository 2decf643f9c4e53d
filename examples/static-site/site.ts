interface Env {
  readonly FILES: Fetcher;
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    let answer = await env.FILES.fetch(request);
    let path = pathname;
    if (answer.status === 404 && isPage(request, pathname)) {
      // The page's own script reads the address and shows what belongs there.
      path = "/index.html";
      answer = await env.FILES.fetch(new Request(new URL(path, request.url), request));
    }
    const response = new Response(answer.body, answer);
    if (answer.ok || answer.status === 304) response.headers.set("cache-control", caching(path));
    return response;
  },
} satisfies ExportedHandler<Env>;

/** A missing image is missing; a missing page is one that the application makes. */
function isPage(request: Request, pathname: string): boolean {
  if (request.method !== "GET" && request.method !== "HEAD") return false;
  return !pathname.slice(pathname.lastIndexOf("/")).includes(".");
}

function caching(path: string): string {
  // Files in /assets/ have a hash of their content in their name, so they never change.
  return path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache";
}
