interface Env {
  readonly APP: Fetcher;
  readonly PATHS: readonly string[];
}

/** The way in: passes the paths that are meant for the world. */
export default {
  async fetch(request, env) {
    // The URL parser has resolved `.` and `..`, also spelt with %2e.
    const { pathname } = new URL(request.url);
    // The app might take an encoded separator for a real one, and so be at another path than this Worker.
    if (/%2f|%5c|%00|\/\//i.test(pathname)) return new Response("bad path\n", { status: 400 });
    const isPublic = env.PATHS.some((path) =>
      path.endsWith("/") ? pathname.startsWith(path) : pathname === path,
    );
    // Whether it exists is nobody's business.
    return isPublic ? env.APP.fetch(request) : new Response("not found\n", { status: 404 });
  },
} satisfies ExportedHandler<Env>;
