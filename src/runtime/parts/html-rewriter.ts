import { type Registration, Rewriter } from "../html/rewriter.ts";
import { Selector } from "../html/selectors.ts";
import { TextDecoder } from "../web/encoding.ts";
import { parameter, parseMime, serializeMime } from "../web/mime.ts";
import { ArrayPush } from "../web/primordials.ts";
import { isResponse, Response } from "../web/response.ts";
import { makeReadable } from "../web/streams/readable-stream.ts";
import { type TransformAlgorithms, TransformCore } from "../web/streams/transform-stream.ts";
import { makeWritable } from "../web/streams/writable-stream.ts";
import { encodeUtf8 } from "../web/utf8.ts";
import { defineInterface, isObject, requireArguments } from "../web/webidl.ts";

/** Rewrites HTML as it streams through, with the interface that Workers know. */
export class HTMLRewriter {
  readonly #elements: Registration[] = [];
  readonly #documents: Registration[] = [];

  /**
   * @param selector of elements. @param handlers `element`, `comments` and `text`, all optional.
   * @throws TypeError when the selector is not understood, or a handler is not a function.
   */
  on(selector: string, handlers: object): this {
    requireArguments(arguments.length, 2, "HTMLRewriter.on");
    ArrayPush(this.#elements, register(new Selector(`${selector}`), handlers));
    return this;
  }

  /** @param handlers `doctype`, `comments`, `text` and `end`, all optional. */
  onDocument(handlers: object): this {
    requireArguments(arguments.length, 1, "HTMLRewriter.onDocument");
    ArrayPush(this.#documents, register(null, handlers));
    return this;
  }

  /** A response with the same head and the rewritten body, which streams. */
  transform(response: Response): Response {
    if (!isResponse(response)) throw new TypeError("cannot transform: response is not a Response");
    const { body } = response;
    if (body === null) return new Response(null, response);
    const type = response.headers.get("Content-Type");
    const mime = type === null ? null : parseMime(type);
    const charset = mime === null ? null : parameter(mime.parameters, "charset");
    const decoder = new TextDecoder(charset ?? "utf-8", { ignoreBOM: true });
    const registrations: Registration[] = [];
    for (let i = 0; i < this.#elements.length; i++)
      ArrayPush(registrations, this.#elements[i] as Registration);
    for (let i = 0; i < this.#documents.length; i++)
      ArrayPush(registrations, this.#documents[i] as Registration);
    const core = new TransformCore(
      new RewriteAlgorithms(new Rewriter(registrations), decoder),
      1,
      null,
      0,
      null,
    );
    core.start(null);
    const rewritten = body.pipeThrough({
      readable: makeReadable(core.readable),
      writable: makeWritable(core.writable),
    });
    const result = new Response(rewritten, response);
    result.headers.delete("Content-Length");
    if (mime !== null && decoder.encoding !== "utf-8") {
      result.headers.set(
        "Content-Type",
        serializeMime({ essence: mime.essence, parameters: inUtf8(mime.parameters) }),
      );
    }
    return result;
  }
}

function inUtf8(parameters: readonly string[]): string[] {
  const changed: string[] = [];
  for (let i = 0; i < parameters.length; i += 2) {
    ArrayPush(changed, parameters[i] as string);
    ArrayPush(changed, parameters[i] === "charset" ? "utf-8" : (parameters[i + 1] as string));
  }
  return changed;
}

function register(selector: Selector | null, handlers: unknown): Registration {
  if (!isObject(handlers)) throw new TypeError("cannot register: handlers is not an object");
  const of = (name: string): Registration["element"] => {
    const handler = (handlers as Record<string, unknown>)[name];
    if (handler === undefined || handler === null) return null;
    if (typeof handler !== "function")
      throw new TypeError(`cannot register: handlers.${name} is not a function`);
    return handler as Registration["element"];
  };
  const onElement = selector !== null;
  return {
    selector,
    self: handlers as object,
    element: onElement ? of("element") : null,
    comments: of("comments"),
    text: of("text"),
    doctype: onElement ? null : of("doctype"),
    end: onElement ? null : of("end"),
  };
}

class RewriteAlgorithms implements TransformAlgorithms {
  readonly #rewriter: Rewriter;
  readonly #decoder: TextDecoder;

  constructor(rewriter: Rewriter, decoder: TextDecoder) {
    this.#rewriter = rewriter;
    this.#decoder = decoder;
  }

  transform(chunk: unknown, core: TransformCore): Promise<unknown> {
    return this.#add(chunk, core);
  }

  async flush(core: TransformCore): Promise<unknown> {
    send(await this.#rewriter.write(this.#decoder.decode()), core);
    send(await this.#rewriter.end(), core);
    return undefined;
  }

  async cancel(): Promise<unknown> {
    return undefined;
  }

  async #add(chunk: unknown, core: TransformCore): Promise<unknown> {
    const text = this.#decoder.decode(chunk as Uint8Array, { stream: true });
    send(await this.#rewriter.write(text), core);
    return undefined;
  }
}

function send(text: string, core: TransformCore): void {
  if (text !== "") core.enqueue(encodeUtf8(text));
}

defineInterface(HTMLRewriter, "HTMLRewriter", 0, { on: 2, onDocument: 1, transform: 1 });
