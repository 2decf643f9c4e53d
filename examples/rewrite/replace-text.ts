/**
 * Puts `replacement` in the place of every `wanted` in a stream of UTF-8. Each chunk goes on as soon as it has come; only
 * an end that could be the beginning of `wanted` waits for the next one.
 */
export function replaceText(wanted: string, replacement: string): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let waiting = "";
  return new TransformStream({
    transform(chunk, controller) {
      const text = waiting + decoder.decode(chunk, { stream: true });
      const last = text.lastIndexOf(wanted);
      const settled = last < 0 ? 0 : last + wanted.length;
      const kept = beginning(text.slice(settled), wanted);
      waiting = text.slice(text.length - kept);
      const done = text.slice(0, text.length - kept).replaceAll(wanted, () => replacement);
      if (done !== "") controller.enqueue(encoder.encode(done));
    },
    flush(controller) {
      const rest = waiting + decoder.decode();
      if (rest !== "") controller.enqueue(encoder.encode(rest));
    },
  });
}

/** The length of the longest end of `text` with which `wanted` begins. */
function beginning(text: string, wanted: string): number {
  let length = Math.min(text.length, wanted.length - 1);
  while (length > 0 && !wanted.startsWith(text.slice(text.length - length))) length--;
  return length;
}
