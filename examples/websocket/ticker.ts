/** Sends three lines to whoever opens a WebSocket. */
const ticker: ExportedHandler = {
  async fetch() {
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    for (const line of ["one", "two", "three"]) server.send(line);
    server.close(1000, "that is all");
    return new Response(null, { status: 101, webSocket: client });
  },
};
export default ticker;
