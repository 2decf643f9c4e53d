import { createHash, webcrypto } from "node:crypto";
import * as wire from "../../wire/ops.ts";
import type { OutboxReader } from "./outbox.ts";
import type { Session } from "./session.ts";

const algorithms: Readonly<Record<string, string>> = {
  "SHA-1": "sha1",
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
  MD5: "md5",
};
/** Inputs up to this many bytes are hashed at once; a thread costs more. */
const HASH_HERE = 16_384;

/** Work that a guest has native code do for it. */
export class GuestCalls {
  readonly #session: Session;
  /** Inputs that come in several pieces. */
  readonly #inputs: Map<number, Uint8Array[]> = new Map();

  constructor(session: Session) {
    this.#session = session;
  }

  /** Carries out one record, or keeps its piece of the input for the last one. */
  call(reader: OutboxReader): void {
    const session = this.#session;
    const id = reader.int();
    const operation = reader.int();
    const piece = reader.bytes(reader.int(), reader.int());
    const name = reader.text();
    const before = this.#inputs.get(id);
    const { buffer } = session;
    if (!buffer.take(piece.length)) {
      session.exceeded("memory", "worker_memory_exceeded", "it gave native code more than fits");
      return;
    }
    if (operation === 0) {
      if (before === undefined) this.#inputs.set(id, [piece]);
      else before.push(piece);
      return;
    }
    this.#inputs.delete(id);
    const input = before === undefined ? piece : Buffer.concat([...before, piece]);
    const { length } = input;
    const algorithm = algorithms[name];
    if (operation !== wire.CALL_DIGEST || algorithm === undefined) {
      buffer.give(length);
      this.#failed(id, "cannot digest: the algorithm is not known");
      return;
    }
    if (length <= HASH_HERE || name === "MD5") {
      buffer.give(length);
      this.#answered(id, createHash(algorithm).update(input).digest());
      return;
    }
    session.calls++;
    const done = (): void => {
      session.calls--;
      buffer.give(length);
    };
    webcrypto.subtle.digest(name, input as Uint8Array<ArrayBuffer>).then(
      (digest) => {
        done();
        this.#answered(id, new Uint8Array(digest));
      },
      () => {
        done();
        this.#failed(id, "cannot digest: the hash failed");
      },
    );
  }

  #answered(id: number, bytes: Uint8Array): void {
    this.#session.inbox.chunk(wire.IN_RESULT, id, bytes, 0);
    this.#session.touch();
  }

  #failed(id: number, message: string): void {
    const { inbox } = this.#session;
    const at = inbox.begin(wire.IN_CALL_FAILED, 2, 0);
    inbox.ints[at] = id;
    inbox.ints[at + 1] = inbox.text(message);
    this.#session.touch();
  }
}
