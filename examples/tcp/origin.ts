/** Plays a server of lines: it answers each in capitals, and says goodbye. */
export default {
  async connect(socket: Socket): Promise<void> {
    const { remoteAddress = "" } = await socket.opened;
    const writer = socket.writable.getWriter();
    const say = (text: string) => writer.write(new TextEncoder().encode(`${text}\n`));
    await say(`hello ${remoteAddress.split(":")[0]}`);
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of socket.readable) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "quit") {
          await say("goodbye");
          await writer.close();
          return;
        }
        await say(line.toUpperCase());
      }
    }
    await writer.close();
  },
};
