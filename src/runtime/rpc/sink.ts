import { RpcTarget } from "../bridge/entrypoint.ts";
import { ObjectCreate } from "../web/primordials.ts";
import { WritableStream } from "../web/streams.ts";
import { invokeStub } from "./answer.ts";
import { disposeStub, type StubData } from "./targets.ts";

interface Writer {
  write(chunk: unknown): Promise<void>;
  close(): Promise<void>;
  abort(reason: unknown): Promise<void>;
}

/** A WritableStream as others reach it: what they write is called here. */
class Sink extends RpcTarget {
  readonly #writer: Writer;
  #isOver = false;

  constructor(writer: Writer) {
    super();
    this.#writer = writer;
  }

  write(chunk: unknown): Promise<void> {
    return this.#writer.write(chunk);
  }

  close(): Promise<void> {
    this.#isOver = true;
    return this.#writer.close();
  }

  async abort(reason: unknown): Promise<void> {
    this.#isOver = true;
    await this.#writer.abort(reason);
  }

  /** Whoever could write is gone. */
  async lost(): Promise<void> {
    if (!this.#isOver)
      await this.abort(new Error("cannot go on with the WritableStream: its RPC peer is gone"));
  }
}

/** Takes a stream to be sent: it is locked here from now on. */
export function sinkOf(stream: WritableStream): { object: object; dispose: () => void } {
  const sink = new Sink(stream.getWriter() as unknown as Writer);
  return {
    object: sink,
    dispose: () => {
      void ignoreFailure(sink.lost());
    },
  };
}

async function ignoreFailure(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch {
    // The stream had failed before.
  }
}

/** The stream that stands for one elsewhere. Each chunk is a call, the next waits for its end. */
export function writableOf(stub: StubData): WritableStream {
  const call = (name: string, args: readonly unknown[]): Promise<unknown> =>
    invokeStub(stub, [name], args).take();
  const last = async (name: string, args: readonly unknown[]): Promise<void> => {
    try {
      await call(name, args);
    } finally {
      disposeStub(stub);
    }
  };
  const sink = ObjectCreate(null) as Record<string, unknown>;
  sink["write"] = (chunk: unknown) => call("write", [chunk]);
  sink["close"] = () => last("close", []);
  sink["abort"] = (reason: unknown) => last("abort", [reason]);
  return new WritableStream(sink as never);
}
