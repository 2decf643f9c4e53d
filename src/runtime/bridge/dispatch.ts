import * as wire from "../../wire/ops.ts";
import { RPC_DATA } from "../../wire/rpc-ops.ts";
import { WS_FIRST } from "../../wire/websocket-ops.ts";
import { part } from "../part.ts";
import { enterExchange } from "../web/async-context.ts";
import { advanceClock } from "../web/clock.ts";
import { DateNow, JSONParse, StringSlice, TypedArraySet, Uint8ArrayNative } from "../web/primordials.ts";
import { requestFromHost } from "../web/request.ts";
import { isResponse, Response, takeResponseParts } from "../web/response.ts";
import { fireTimer } from "../web/timers.ts";
import { describeBody } from "./body-record.ts";
import type { Channel } from "./channel.ts";
import { Invocation, onWaitUntil } from "./context.ts";
import { describeError } from "./describe-error.ts";
import { envBefore } from "./env.ts";
import type { Outbound } from "./fetcher.ts";
import { type BodyReaders, HandleBody } from "./handle-body.ts";
import { type Handlers, isHandlerMissing } from "./handlers.ts";
import type { HostCalls } from "./host-calls.ts";
import { bodyError, hostErrorCode } from "./host-error.ts";
import type { OutStreams } from "./out-streams.ts";
import { type RecordReader, setRpcLink } from "./rpc-link.ts";
import type { ScriptListeners } from "./script-listeners.ts";
import { isSocket, Socket, socketEnd } from "./socket.ts";
import { tunnelSocket } from "./socket-options.ts";
import { Table } from "./table.ts";

/** Everything that one isolate keeps for its bridge. */
export interface Parts {
  readonly inbox: Int32Array;
  readonly shared: SharedArrayBuffer;
  /** See wire/ops.ts. */
  readonly control: Int32Array;
  readonly channel: Channel;
  readonly readers: BodyReaders;
  readonly outs: OutStreams;
  readonly outbound: Outbound;
  readonly calls: HostCalls;
  readonly handlers: Handlers;
  readonly listeners: ScriptListeners;
}

/** What the host calls by one number. */
interface Entrypoint {
  readonly name: string;
  readonly props: unknown;
  /** Null is the Worker's own. */
  readonly env: object | null;
}

/** The guest's end of the bridge, inward: reads the records of a batch and acts on them. */
export class Dispatcher {
  readonly #parts: Parts;
  readonly #entrypoints: Table<Entrypoint> = new Table();
  readonly #invocations: Table<Invocation> = new Table();
  readonly #reader: RecordReader = {
    text: (length) => this.#piece(length),
    bytes: (offset, length) => this.#bytes(offset, length),
  };
  #text = "";
  #at = 0;
  /** The next record of the batch, and the place behind its last. */
  #next = 0;
  #end = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    onWaitUntil({
      began: (invocation) => parts.channel.one(wire.OUT_WAIT_UNTIL, invocation.exchange),
      rejected: (invocation, error) => this.exception(invocation.exchange, error),
    });
    const { channel, readers, outs, outbound, handlers } = parts;
    setRpcLink({
      channel,
      readers,
      outs,
      outbound,
      handlers,
      begin: (exchange, handler) => {
        const found = this.#entrypoints.get(handler) as Entrypoint;
        return { invocation: this.#begin(exchange, found), entrypoint: found.name };
      },
      invocation: (exchange) => this.#invocations.get(exchange),
      exception: (exchange, error) => this.exception(exchange, error),
    });
  }

  /**
   * Runs a batch, or as much of it as fits the time: what handlers cost is not known beforehand, and a time limit that
   * ends one of them ends them all. @param ints of a new batch; 0 goes on with the one before.
   */
  enter(ints: number, text: string): void {
    const { channel, control } = this.#parts;
    if (ints > 0) {
      this.#text = text;
      this.#at = 0;
      this.#next = 0;
      this.#end = ints;
    }
    control[wire.RECORDS] = 0;
    const now = DateNow();
    advanceClock(now);
    const until = now + (control[wire.SLICE] as number);
    channel.hold();
    try {
      this.#step();
    } catch (error) {
      this.#broken(error);
      return;
    }
    if (this.#next < this.#end) void this.#rest(until);
    else this.#leave();
  }

  /** Each record after the first waits for what the one before has set off, for one microtask at least. */
  async #rest(until: number): Promise<void> {
    try {
      while (this.#next < this.#end) {
        await null;
        const now = DateNow();
        if (now >= until) break;
        advanceClock(now);
        this.#step();
      }
    } catch (error) {
      this.#broken(error);
      return;
    }
    this.#leave();
  }

  #step(): void {
    const { control, inbox } = this.#parts;
    control[wire.BEGUN] = this.#next + 1;
    control[wire.RECORDS] = (control[wire.RECORDS] as number) + 1;
    enterExchange(0);
    this.#next = this.#record(inbox, this.#next);
  }

  #leave(): void {
    const { channel, control, outbound } = this.#parts;
    control[wire.BEGUN] = this.#next;
    outbound.current = 0;
    if (this.#next >= this.#end) this.#text = "";
    channel.release();
  }

  /** Only a fault of the runtime itself comes here, never a Worker's. */
  #broken(error: unknown): void {
    const { channel, control } = this.#parts;
    control[wire.BROKEN] = 1;
    this.exception(0, error);
    channel.release();
    channel.flush();
  }

  /** Tells the log of an exception that no handler's promise carries. */
  exception(exchange: number, error: unknown): void {
    const { message, stack } = describeError(error);
    const { channel } = this.#parts;
    const at = channel.begin(wire.OUT_EXCEPTION);
    channel.ints[at] = exchange;
    channel.ints[at + 1] = channel.text(message);
    channel.ints[at + 2] = channel.text(stack);
  }

  /** `waitUntil` without a context (`cloudflare:workers`): belongs to the exchange whose handler runs right now. */
  waitUntil(promise: unknown): void {
    const invocation = this.#invocations.get(this.#parts.outbound.currentExchange);
    if (invocation === undefined)
      throw new Error("cannot waitUntil here: it is not known which request this is for");
    invocation.context.waitUntil(promise);
  }

  #record(ints: Int32Array, at: number): number {
    const { readers, outs, outbound, calls, handlers } = this.#parts;
    const first = ints[at + 1] as number;
    const second = ints[at + 2] as number;
    const third = ints[at + 3] as number;
    switch (ints[at]) {
      case wire.IN_HANDLER: {
        const name = this.#piece(third);
        const props = JSONParse(this.#piece(ints[at + 4] as number));
        const env =
          second === 0 ? null : envBefore(handlers.env as Record<string, unknown>, second, outbound);
        this.#entrypoints.set(first, { name, props, env });
        return at + 5;
      }
      case wire.IN_REQUEST:
        this.#request(ints, at + 1);
        return at + 14;
      case wire.IN_CONNECT:
        this.#connect(ints, at + 1);
        return at + 7;
      case wire.IN_ABORT:
        this.#aborted(first);
        return at + 2;
      case wire.IN_RESPONSE: {
        const body = third === 0 ? null : new HandleBody(readers, third, ints[at + 4] as number);
        const reason = this.#piece(ints[at + 5] as number);
        outbound.answered(first, second, reason, this.#piece(ints[at + 6] as number), body);
        return at + 7;
      }
      case wire.IN_FETCH_FAILED:
        outbound.failed(first, this.#piece(second));
        return at + 3;
      case wire.IN_CONNECTED:
        outbound.connected(first, second);
        return at + 3;
      case wire.IN_CHUNK:
        readers.chunk(first, this.#bytes(second, third));
        return at + 4;
      case wire.IN_TEXT:
        readers.text(first, this.#piece(second));
        return at + 3;
      case wire.IN_END:
        readers.end(first);
        return at + 2;
      case wire.IN_BODY_FAILED:
        readers.fail(first, bodyError(this.#piece(second), this.#piece(third)));
        return at + 4;
      case wire.IN_CREDIT:
        outs.credit(first, second);
        return at + 3;
      case wire.IN_OUT_CANCELLED:
        outs.cancelled(first);
        return at + 2;
      case wire.IN_TIMER:
        fireTimer(first);
        return at + 2;
      case wire.IN_RESULT:
        calls.answered(first, this.#piece(second));
        return at + 3;
      case wire.IN_CALL_FAILED:
        calls.failed(first, this.#piece(second), this.#piece(third));
        return at + 4;
      case wire.IN_RESULT_BYTES:
        calls.piece(first, this.#bytes(second, third));
        return at + 4;
      case wire.IN_REJECTION:
        this.#rejected(this.#piece(first), this.#piece(second));
        return at + 3;
      default:
        if ((ints[at] as number) >= WS_FIRST) {
          return part<typeof import("../parts/websocket.ts")>("websocket").receive(ints, at, this.#reader);
        }
        if ((ints[at] as number) >= RPC_DATA) {
          return part<typeof import("../parts/rpc.ts")>("rpc").receive(ints, at, this.#reader);
        }
        throw new Error(`cannot read the batch: unknown record ${ints[at]}`);
    }
  }

  #rejected(message: string, stack: string): void {
    const { channel, listeners } = this.#parts;
    if (listeners.tellRejection(message, stack)) return;
    const at = channel.begin(wire.OUT_REJECTION);
    channel.ints[at] = channel.text(message);
    channel.ints[at + 1] = channel.text(stack);
  }

  #aborted(exchange: number): void {
    const invocation = this.#invocations.get(exchange);
    if (invocation === undefined) return;
    invocation.aborted = true;
    invocation.abort?.();
  }

  #request(ints: Int32Array, at: number): void {
    const exchange = ints[at] as number;
    const handler = this.#entrypoints.get(ints[at + 1] as number) as Entrypoint;
    const bodyId = ints[at + 4] as number;
    const body = bodyId === 0 ? null : new HandleBody(this.#parts.readers, bodyId, ints[at + 5] as number);
    const invocation = this.#begin(exchange, handler);
    const method = this.#piece(ints[at + 8] as number);
    const url = this.#piece(ints[at + 9] as number);
    const headers = this.#piece(ints[at + 10] as number);
    const request = requestFromHost({
      method,
      url,
      headers,
      body,
      clientAddress: this.#piece(ints[at + 11] as number),
      tls: this.#piece(ints[at + 12] as number),
      clientPort: ints[at + 6] as number,
      secure: ints[at + 7] === 1,
      httpVersion: ints[at + 3] as number,
      onSignal: (abort) => {
        invocation.abort = abort;
        if (invocation.aborted) abort();
      },
    });
    void this.#answer(invocation, handler.name, ints[at + 2] === 1 ? null : request);
  }

  /** @param request null calls the `test` handler. */
  async #answer(invocation: Invocation, entrypoint: string, request: unknown): Promise<void> {
    const { outbound, handlers } = this.#parts;
    let response: unknown;
    try {
      outbound.current = invocation.exchange;
      enterExchange(invocation.exchange);
      response =
        request === null
          ? handlers.test(invocation, entrypoint)
          : handlers.fetch(invocation, entrypoint, request);
      outbound.current = 0;
      response = await response;
    } catch (error) {
      outbound.current = 0;
      this.#failed(invocation, error);
      return;
    }
    if (request === null) this.#respond(invocation, new Response(null, { status: 204 }));
    else if (isResponse(response)) this.#respond(invocation, response);
    else this.#notResponse(invocation, response);
  }

  #respond(invocation: Invocation, response: Response): void {
    const { channel, outs } = this.#parts;
    let parts: ReturnType<typeof takeResponseParts>;
    try {
      parts = takeResponseParts(response);
      if (parts.webSocket !== null) {
        const { answer } = part<typeof import("../parts/websocket.ts")>("websocket");
        answer(invocation.exchange, parts.webSocket, parts.statusText, parts.headers);
        invocation.release();
        return;
      }
    } catch (error) {
      this.#failed(invocation, error);
      return;
    }
    invocation.pending++;
    const body = describeBody(parts.body, channel, outs, () => invocation.release());
    const at = channel.begin(wire.OUT_RESPOND);
    const { ints } = channel;
    ints[at] = invocation.exchange;
    ints[at + 1] = parts.status;
    ints[at + 2] = parts.encodedByWorker ? body.kind | wire.BODY_CODED : body.kind;
    ints[at + 3] = body.ref;
    ints[at + 4] = body.high;
    ints[at + 5] = body.low;
    ints[at + 6] = channel.text(parts.statusText);
    ints[at + 7] = channel.text(parts.headers);
    ints[at + 8] = channel.text(body.text);
    invocation.release();
  }

  #notResponse(invocation: Invocation, value: unknown): void {
    const what = value === null ? "null" : typeof value;
    this.#fail(invocation, wire.FAILED_RESPONSE, `the handler gave ${what}, not a Response`, "");
  }

  #failed(invocation: Invocation, error: unknown): void {
    if (isHandlerMissing(error)) {
      this.#fail(invocation, wire.FAILED_HANDLER, error.message, "");
      return;
    }
    const { message, stack } = describeError(error);
    const code = hostErrorCode(error);
    if (code !== "" && !invocation.failOpen) {
      this.#fail(invocation, wire.FAILED_FETCH, code, stack);
      return;
    }
    const failure = invocation.failOpen ? wire.FAILED_OPEN : wire.FAILED_EXCEPTION;
    this.#fail(invocation, failure, message, stack);
  }

  #fail(invocation: Invocation, failure: number, message: string, stack: string): void {
    const { channel } = this.#parts;
    const at = channel.begin(wire.OUT_FAILED);
    const { ints } = channel;
    ints[at] = invocation.exchange;
    ints[at + 1] = failure;
    ints[at + 2] = channel.text(message);
    ints[at + 3] = channel.text(stack);
    invocation.release();
  }

  #begin(exchange: number, { props, env }: Entrypoint): Invocation {
    const invocation = new Invocation(exchange, props, env, (finished) => {
      this.#invocations.take(finished.exchange);
      this.#parts.channel.one(wire.OUT_DONE, finished.exchange);
    });
    this.#invocations.set(exchange, invocation);
    return invocation;
  }

  #connect(ints: Int32Array, at: number): void {
    const exchange = ints[at] as number;
    const handler = this.#entrypoints.get(ints[at + 1] as number) as Entrypoint;
    const invocation = this.#begin(exchange, handler);
    const socket = new Socket(this.#parts.readers, this.#parts.outs, 0, tunnelSocket, null);
    const target = this.#piece(ints[at + 4] as number);
    const client = this.#piece(ints[at + 5] as number);
    const remote = client === "" ? "" : `${client}:${ints[at + 3]}`;
    socketEnd.connected(socket, ints[at + 2] as number, target, remote);
    let accepted = false;
    const accept = (): void => {
      if (accepted) return;
      accepted = true;
      const { channel } = this.#parts;
      // As long as the tunnel stands, so does what the handler has opened for it.
      invocation.hold();
      const out = socketEnd.startWriting(socket, () => invocation.release());
      const place = channel.begin(wire.OUT_ACCEPT);
      channel.ints[place] = exchange;
      channel.ints[place + 1] = out;
    };
    socketEnd.onTouch(socket, accept);
    void this.#tunnel(invocation, handler.name, socket, accept);
  }

  /**
   * What a `connect` handler returns decides: another untouched socket joins the two, a Response refuses with its
   * status, nothing accepts.
   */
  async #tunnel(
    invocation: Invocation,
    entrypoint: string,
    socket: Socket,
    accept: () => void,
  ): Promise<void> {
    const { outbound, handlers, channel } = this.#parts;
    let result: unknown;
    try {
      outbound.current = invocation.exchange;
      enterExchange(invocation.exchange);
      result = handlers.connect(invocation, entrypoint, socket);
      outbound.current = 0;
      result = await result;
    } catch (error) {
      outbound.current = 0;
      this.#failed(invocation, error);
      return;
    }
    if (isResponse(result)) {
      this.#respond(invocation, result);
      return;
    }
    if (isSocket(result) && socketEnd.untouched(result) > 0 && !socketEnd.isTouched(socket)) {
      const at = channel.begin(wire.OUT_JOIN);
      channel.ints[at] = invocation.exchange;
      channel.ints[at + 1] = socketEnd.untouched(result);
    } else accept();
    invocation.release();
  }

  #piece(length: number): string {
    const from = this.#at;
    this.#at = from + length;
    return StringSlice(this.#text, from, this.#at);
  }

  #bytes(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const { shared } = this.#parts;
    const copy = new Uint8ArrayNative(length);
    // The shared memory reaches native code only: a patched method that saw it could write the bridge's records.
    TypedArraySet(copy, new Uint8ArrayNative(shared, wire.windowInOffset + offset, length));
    return copy;
  }
}
