import { CAP_BODY, CAP_EXPORT, CAP_IMPORT, CAP_OUT } from "../../wire/rpc-ops.ts";
import { link } from "../bridge/rpc-link.ts";
import { ArrayPush, TypedArrayLength, TypedArraySet, Uint8ArrayNative } from "../web/primordials.ts";
import { Answer } from "./answer.ts";
import { Deserializer } from "./deserialize.ts";
import { evaluate } from "./evaluate.ts";
import { type Disposer, type InCap, InMessage, type OutCap, type OutMessage } from "./message.ts";
import { Serializer } from "./serialize.ts";
import { addDisposer } from "./stubs.ts";
import { disposeStub, RemoteObject, type StubData } from "./targets.ts";

/** Something of this isolate behind a stub: calls go the way of calls to others, but for the bridge. */
export class LocalObject extends RemoteObject {
  readonly value: unknown;
  readonly #disposer: Disposer;

  constructor(value: unknown, disposer: Disposer) {
    super(0);
    this.value = value;
    this.#disposer = disposer;
  }

  invoke(path: readonly string[], args: readonly unknown[] | null): Answer {
    const current = link.outbound.currentExchange;
    let reader: Deserializer | null = null;
    try {
      if (args !== null) {
        reader = new Deserializer(carry(new Serializer().run(args)));
      }
    } catch (error) {
      return Answer.failed(current, error);
    }
    const answer = new Answer(current, 0, null);
    void this.#run(answer, path, reader, current);
    return answer;
  }

  async #run(
    answer: Answer,
    path: readonly string[],
    reader: Deserializer | null,
    exchange: number,
  ): Promise<void> {
    this.hold();
    try {
      await null;
      const args = reader === null ? null : (reader.run() as readonly unknown[]);
      const value = await evaluate(() => ({ value: this.value, isClass: null }), path, args, exchange, null);
      const result = new Deserializer(carry(new Serializer().run(value)));
      const copy = result.run();
      addDisposer(copy, () => answer.disposeValue());
      answer.resolve(copy, result.stubs, result.objects);
    } catch (error) {
      answer.reject(error);
    }
    const stubs = reader === null ? [] : reader.stubs;
    for (let i = 0; i < stubs.length; i++) disposeStub(stubs[i] as StubData);
    this.release();
  }

  protected gone(): void {
    try {
      this.#disposer?.();
    } catch (error) {
      link.exception(0, error);
    }
  }
}

/** A message as it arrives when it goes no further than this isolate. */
function carry(message: OutMessage): InMessage {
  const bytes = new Uint8ArrayNative(message.size);
  let at = 0;
  for (let i = 0; i < message.chunks.length; i++) {
    const chunk = message.chunks[i] as Uint8Array;
    TypedArraySet(bytes, chunk, at);
    at += TypedArrayLength(chunk);
  }
  const caps: InCap[] = [];
  for (let i = 0; i < message.caps.length; i++) {
    const cap = message.caps[i] as OutCap;
    if (cap.kind === CAP_EXPORT) {
      ArrayPush(caps, { kind: CAP_IMPORT, target: new LocalObject(cap.value, cap.disposer) } as InCap);
    } else if (cap.kind === CAP_BODY) ArrayPush(caps, { kind: CAP_OUT, body: cap.body } as InCap);
    else ArrayPush(caps, cap as InCap);
  }
  return new InMessage(message.text, bytes, caps);
}
