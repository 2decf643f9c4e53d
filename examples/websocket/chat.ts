interface Env {
  TICKER: Fetcher;
}

/** Everybody in this isolate's room. Each shard has an isolate, and so a room, of its own. */
const room = new Set<WebSocket>();

function say(text: string): void {
  for (const member of room) member.send(text);
}

/** Somebody joins. */
function join(name: string): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  server.addEventListener("message", ({ data }) => {
    if (typeof data === "string") say(`${name}: ${data}`);
    else server.close(1003, "text only");
  });
  server.addEventListener("close", () => {
    room.delete(server);
    say(`${name} left`);
  });
  room.add(server);
  say(`${name} joined, ${room.size} here`);
  return new Response(null, { status: 101, webSocket: client });
}

/** A client of this Worker's own: opens a WebSocket, and gives the first messages as a list. */
async function headlines(env: Env): Promise<Response> {
  const { webSocket } = await env.TICKER.fetch("http://ticker/", { headers: { upgrade: "websocket" } });
  if (webSocket === null) return new Response("the ticker does not answer\n", { status: 502 });
  const lines: string[] = [];
  await new Promise((done) => {
    webSocket.addEventListener("message", ({ data }) => lines.push(data));
    webSocket.addEventListener("close", done);
    webSocket.accept();
  });
  return Response.json(lines);
}

const chat: ExportedHandler<Env> = {
  fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/headlines") return headlines(env);
    // Passed on as it is: its frames go from one connection to the other and never enter the isolate.
    if (pathname === "/ticker") return env.TICKER.fetch(request);
    if (pathname !== "/chat") return new Response("not found\n", { status: 404 });
    if (request.headers.get("upgrade") !== "websocket")
      return new Response("a WebSocket, please\n", { status: 426 });
    return join(searchParams.get("name") ?? "somebody");
  },
};
export default chat;
