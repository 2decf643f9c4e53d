/** Takes fields out of each object of a stream of JSON lines (NDJSON). A line goes on as soon as it is complete. */
export function hideFields(names: readonly string[]): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let waiting = "";
  return new TransformStream({
    transform(chunk, controller) {
      const lines = (waiting + decoder.decode(chunk, { stream: true })).split("\n");
      waiting = lines.pop() ?? "";
      for (const line of lines) controller.enqueue(encoder.encode(`${withoutFields(line, names)}\n`));
    },
    flush(controller) {
      const rest = waiting + decoder.decode();
      if (rest !== "") controller.enqueue(encoder.encode(withoutFields(rest, names)));
    },
  });
}

function withoutFields(line: string, names: readonly string[]): string {
  if (line.trim() === "") return line;
  const row = JSON.parse(line) as Record<string, unknown>;
  for (const name of names) delete row[name];
  return JSON.stringify(row);
}
