import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { TestContext } from "node:test";

/** What a name has: A and AAAA records, or a failure. */
export interface Records {
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  /** Seconds. */
  readonly ttl?: number;
  /** A response code in place of records: 2 is SERVFAIL, 3 NXDOMAIN. */
  readonly code?: number;
}

/** A DNS server on a loopback port (RFC 1035), whose records a test changes as it goes. */
export class DnsServer {
  readonly names: Map<string, Records> = new Map();
  /** Questions so far, as `A name`. */
  readonly questions: string[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (query, { port, address }) => {
      const answer = this.#answer(query);
      if (answer !== null) socket.send(answer, port, address);
    });
  }

  static async start(test: TestContext): Promise<DnsServer> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    test.after(() => socket.close());
    return new DnsServer(socket);
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  #answer(query: Buffer): Buffer | null {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString("latin1", at + 1, at + 1 + length));
      at += 1 + length;
    }
    const type = query.readUInt16BE(at + 1);
    const question = query.subarray(12, at + 5);
    const name = labels.join(".");
    this.questions.push(`${type === 1 ? "A" : "AAAA"} ${name}`);
    const records = this.names.get(name) ?? { code: 3 };
    const found = (type === 1 ? records.a : records.aaaa) ?? [];
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(0x8180 | (records.code ?? 0), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(records.code === undefined ? found.length : 0, 6);
    const answers =
      records.code === undefined ? found.map((each) => record(type, each, records.ttl ?? 60)) : [];
    return Buffer.concat([head, question, ...answers]);
  }
}

function record(type: number, address: string, ttl: number): Buffer {
  const data = type === 1 ? Buffer.from(address.split(".").map(Number)) : loopback(address);
  const fixed = Buffer.alloc(12);
  // The name of the question.
  fixed.writeUInt16BE(0xc00c, 0);
  fixed.writeUInt16BE(type, 2);
  fixed.writeUInt16BE(1, 4);
  fixed.writeUInt32BE(ttl, 6);
  fixed.writeUInt16BE(data.length, 10);
  return Buffer.concat([fixed, data]);
}

function loopback(address: string): Buffer {
  if (address !== "::1") throw new Error(`cannot write ${address}: tests have ::1 alone`);
  const bytes = Buffer.alloc(16);
  bytes[15] = 1;
  return bytes;
}
