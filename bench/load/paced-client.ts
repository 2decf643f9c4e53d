import { connect, type Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { percentile } from "../report/statistics.ts";
import { percentiles } from "./load.ts";

/**
 * An open-loop client: requests become due at a fixed rate whether or not answers come, as from many independent
 * users, and a latency counts from the moment a request was due, so that a proxy that stalls cannot hide it by slowing
 * the client down (coordinated omission). Each connection carries one request at a time; what finds none free waits.
 *
 * Run as `node paced-client.ts PORT PATH CONNECTIONS RATE SECONDS`; prints an `Outcome` as JSON.
 */
const [port = 0, path = "", connections = 0, rate = 0, seconds = 0] = process.argv
  .slice(2)
  .map((word, index) => (index === 1 ? word : Number(word))) as [number, string, number, number, number];

/** Milliseconds between two looks at what is due. */
const beatMs = 0.1;
/** After the last request is due, answers are waited for so long; a queue is a latency, and not a failure. */
const graceMs = 10_000;

const requestBytes = Buffer.from(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`, "latin1");
const headEnd = Buffer.from("\r\n\r\n", "latin1");

/** Reads just enough of HTTP/1.1 to know where an answer ends: a Content-Length, which every candidate sends here. */
class Connection {
  readonly #client: Client;
  readonly #socket: Socket;
  #due = -1;
  #buffered: Buffer = Buffer.alloc(0);

  constructor(client: Client) {
    this.#client = client;
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("connect", () => client.release(this));
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => client.lost(this, this.#due >= 0));
  }

  /** @param due when the request should have been sent */
  send(due: number): void {
    this.#due = due;
    this.#socket.write(requestBytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const bytes = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
    const end = bytes.indexOf(headEnd);
    const length = end < 0 ? -1 : contentLength(bytes.toString("latin1", 0, end));
    if (end < 0 || bytes.length < end + headEnd.length + length) {
      this.#buffered = bytes;
      return;
    }
    this.#buffered = Buffer.alloc(0);
    const due = this.#due;
    this.#due = -1;
    // "HTTP/1.1 2…"
    this.#client.answered(due, bytes[9] === 0x32 && length >= 0, bytes.length);
    this.#client.release(this);
  }
}

function contentLength(head: string): number {
  return Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? -1);
}

class Client {
  readonly #latencies: Float64Array = new Float64Array(Math.ceil(rate * seconds) + 1);
  readonly #free: Connection[] = [];
  readonly #waiting: number[] = [];
  #waitingFrom = 0;
  #good = 0;
  #bad = 0;
  #bytes = 0;
  #due = 0;
  #began = 0;
  #all: readonly Connection[] = [];

  async run(): Promise<void> {
    this.#all = Array.from({ length: connections }, () => new Connection(this));
    const cell = new Int32Array(new SharedArrayBuffer(4));
    const metronome = new Worker(new URL("./metronome.ts", import.meta.url), {
      workerData: { cell, ms: beatMs },
    });
    while (this.#free.length < connections) await beat(cell);
    this.#began = performance.now();
    const total = Math.floor(rate * seconds);
    const last = this.#began + seconds * 1000 + graceMs;
    while (this.#good + this.#bad < total && performance.now() < last) {
      this.#sendDue(total);
      await beat(cell);
    }
    await metronome.terminate();
    // What never came is a failure, and has no latency.
    const missing = total - this.#good - this.#bad;
    for (const connection of this.#all) connection.close();
    this.#print(missing);
  }

  /** A connection can carry the next request. */
  release(connection: Connection): void {
    const due = this.#waiting[this.#waitingFrom];
    if (due === undefined) {
      this.#free.push(connection);
      return;
    }
    this.#waitingFrom++;
    connection.send(due);
  }

  answered(due: number, isGood: boolean, bytes: number): void {
    this.#bytes += bytes;
    if (isGood) this.#latencies[this.#good++] = performance.now() - due;
    else this.#bad++;
  }

  /** A connection is gone. It is not replaced: none of the candidates closes one without a fault. */
  lost(connection: Connection, wasBusy: boolean): void {
    if (wasBusy) this.#bad++;
    const index = this.#free.indexOf(connection);
    if (index >= 0) this.#free.splice(index, 1);
  }

  /** The client's own lateness is not the candidate's: a request is due when this first sees that it is. */
  #sendDue(total: number): void {
    const now = performance.now();
    const until = Math.min(total, Math.floor(((now - this.#began) / 1000) * rate) + 1);
    for (; this.#due < until; this.#due++) {
      const connection = this.#free.shift();
      if (connection === undefined) this.#waiting.push(now);
      else connection.send(now);
    }
  }

  #print(missing: number): void {
    const sorted = this.#latencies.subarray(0, this.#good).sort();
    const latency = Object.fromEntries(
      percentiles.map((name) => [
        name,
        1000 * percentile(sorted, name === "max" ? 100 : Number(name.slice(1))),
      ]),
    );
    const outcome = { good: this.#good, bad: this.#bad + missing, seconds, bytes: this.#bytes, latency };
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
  }
}

async function beat(cell: Int32Array): Promise<void> {
  const seen = Atomics.load(cell, 0);
  const waited = Atomics.waitAsync(cell as Int32Array<SharedArrayBuffer>, 0, seen);
  if (waited.async) await waited.value;
}

await new Client().run();
process.exit(0);
