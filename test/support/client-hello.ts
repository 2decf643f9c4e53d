import { Duplex } from "node:stream";
import * as tls from "node:tls";

/** The first record that Node's TLS client sends: one ClientHello. */
export async function clientHello(options: tls.ConnectionOptions = {}): Promise<Buffer> {
  return new Promise((resolve) => {
    const carrier = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk);
        done();
      },
    });
    const socket = tls.connect({ socket: carrier, ...options });
    socket.on("error", () => {});
  });
}

/** The same handshake message over records of so many bytes each. */
export function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const fragment = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, fragment.length >> 8, fragment.length & 255]), fragment);
  }
  return Buffer.concat(records);
}
