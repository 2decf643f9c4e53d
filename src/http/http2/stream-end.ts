import type { Http2Stream } from "node:http2";

type Done = (error?: Error | null) => void;

/**
 * Keeps node:http2 from ending the body of a stream that is reset or whose connection is destroyed. It sends END_STREAM
 * before RST_STREAM, and so half a body would pass for a whole one (RFC 9113 §8.1.1 sees nothing wrong without a length).
 */
export function guardEnd(stream: Http2Stream): void {
  stream._final = endUnlessClosed;
}

function endUnlessClosed(this: Http2Stream, done: Done): void {
  // What ends by our own will is not closed yet.
  if (this.closed) done();
  else (Object.getPrototypeOf(this) as Http2Stream)._final.call(this, done);
}

interface Carrier {
  sluiceEnded?: boolean;
}

/**
 * The same for what comes on a stream that is a tunnel: a reset must not look like the end of the bytes, which the other
 * end would take for all there was.
 */
export function guardRead(stream: Http2Stream): void {
  stream.push = pushUnlessClosed;
}

function pushUnlessClosed(this: Http2Stream & Carrier, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && this.closed && this.sluiceEnded !== true) {
    if (!this.destroyed) this.destroy();
    return false;
  }
  if (chunk === null) this.sluiceEnded = true;
  return (Object.getPrototypeOf(this) as Http2Stream).push.call(this, chunk, encoding);
}
