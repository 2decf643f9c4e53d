/** Plays a server that can be told to be ill. */
interface Env {
  NAME: string;
}

let isWell = true;

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    // In an app this is whatever tells that it can do its work.
    if (pathname === "/healthz") return new Response(null, { status: isWell ? 204 : 500 });
    if (pathname === "/ill") isWell = false;
    if (pathname === "/well") isWell = true;
    if (!isWell && pathname === "/") return new Response("no", { status: 503 });
    return new Response(`server ${env.NAME}\n`);
  },
};
