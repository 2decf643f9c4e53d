import { MessageEvent } from "../web/event-kinds.ts";
import { dispatch, Event, EventTarget, getHandler, markTrusted, setHandler } from "../web/events.ts";
import { PromiseThen, promiseResolve, SymbolIterator } from "../web/primordials.ts";
import { Fifo } from "../web/streams/fifo.ts";
import { cloneWith } from "../web/structured-clone.ts";
import { cannotTransfer, type Move, Transfer } from "../web/transfer.ts";
import { defineInterface, illegalConstructor, internal, isObject, requireArguments } from "../web/webidl.ts";

class Message {
  readonly data: unknown;
  readonly ports: readonly MessagePort[];

  constructor(data: unknown, ports: readonly MessagePort[]) {
    this.data = data;
    this.ports = ports;
  }
}

const settled = promiseResolve(undefined);

/** One end of a channel: what stays the same when the port that shows it is transferred (HTML §9.4.4). */
export class PortCore {
  other: PortCore | null = null;
  port: MessagePort | null = null;
  readonly #queue = new Fifo<Message>();
  #enabled = false;
  #delivering = false;
  closed = false;

  post(message: Message): void {
    this.#queue.push(message);
    this.#deliver();
  }

  enable(): void {
    this.#enabled = true;
    this.#deliver();
  }

  /** A transferred port is enabled anew by its receiver. */
  handOver(port: MessagePort): void {
    this.#enabled = false;
    this.port = port;
  }

  /** Ends the channel; the other end hears of it after the messages that are on their way. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#queue.clear();
    const { other } = this;
    this.other = null;
    if (other === null) return;
    other.other = null;
    PromiseThen(settled, () => other.#closedByOther());
  }

  #closedByOther(): void {
    const { port } = this;
    if (this.closed || port === null) return;
    const event = new Event("close");
    markTrusted(event);
    dispatch(port, event);
  }

  /** Each message in a turn of its own. A microtask will do: nothing but this isolate's own code can be in between. */
  #deliver(): void {
    if (this.#delivering || !this.#enabled || this.closed || this.#queue.length === 0) return;
    this.#delivering = true;
    PromiseThen(settled, this.#next);
  }

  readonly #next = (): void => {
    this.#delivering = false;
    const { port } = this;
    if (!this.#enabled || this.closed || port === null || this.#queue.length === 0) return;
    const { data, ports } = this.#queue.shift();
    this.#deliver();
    const event = new MessageEvent("message", ports.length === 0 ? { data } : { data, ports });
    markTrusted(event);
    dispatch(port, event);
  };
}

let isMessagePort: (value: unknown) => value is MessagePort;
let coreOf: (port: MessagePort) => PortCore | null;
let detach: (port: MessagePort) => void;

export { isMessagePort };

/** HTML §9.4.4. */
export class MessagePort extends EventTarget {
  /** Null once the port was transferred. */
  #core: PortCore | null;

  constructor(token?: unknown, core?: PortCore) {
    if (token !== internal) throw illegalConstructor();
    super();
    this.#core = core as PortCore;
  }

  postMessage(message: unknown, options?: unknown): void {
    const core = this.#core;
    requireArguments(arguments.length, 1, "postMessage");
    const transfer = new Transfer(transferOf(options));
    if (transfer.includes(this)) throw cannotTransfer("the port cannot be sent through itself");
    const target = core === null ? null : core.other;
    const doomed = target?.port !== null && target?.port !== undefined && transfer.includes(target.port);
    const data = cloneWith(message, transfer);
    // A port that was sent to itself can never arrive.
    if (target === null || doomed) return;
    target.post(new Message(data, transfer.received(isMessagePort)));
  }

  start(): void {
    this.#core?.enable();
  }

  close(): void {
    this.#core?.close();
  }

  get onmessage(): unknown {
    return getHandler(this, "message");
  }

  set onmessage(value: unknown) {
    setHandler(this, "message", value);
    this.#core?.enable();
  }

  get onmessageerror(): unknown {
    return getHandler(this, "messageerror");
  }

  set onmessageerror(value: unknown) {
    setHandler(this, "messageerror", value);
  }

  get onclose(): unknown {
    return getHandler(this, "close");
  }

  set onclose(value: unknown) {
    setHandler(this, "close", value);
  }

  static {
    isMessagePort = (value): value is MessagePort => isObject(value) && #core in value;
    coreOf = (port) => port.#core;
    detach = (port) => {
      port.#core = null;
    };
  }
}

/** The second argument is a sequence, or a dictionary with one. */
function transferOf(options: unknown): unknown {
  if (options === undefined || options === null) return undefined;
  if (!isObject(options)) throw new TypeError("cannot post: options is not an object");
  if ((options as Iterable<unknown>)[SymbolIterator] !== undefined) return options;
  return (options as { transfer?: unknown }).transfer;
}

/** HTML §9.4.4, transfer steps: another port shows the same end of the channel. */
export class PortMove implements Move {
  readonly receiver: MessagePort;
  readonly #port: MessagePort;
  readonly #core: PortCore | null;

  constructor(port: MessagePort) {
    this.#port = port;
    this.#core = coreOf(port);
    this.receiver = new MessagePort(internal, this.#core as PortCore);
  }

  check(): void {
    if (this.#core === null || coreOf(this.#port) === null)
      throw cannotTransfer("a MessagePort was transferred");
  }

  move(): void {
    detach(this.#port);
    (this.#core as PortCore).handOver(this.receiver);
  }
}

/** HTML §9.4.2. */
export class MessageChannel {
  readonly #port1: MessagePort;
  readonly #port2: MessagePort;

  constructor() {
    const first = new PortCore();
    const second = new PortCore();
    first.other = second;
    second.other = first;
    this.#port1 = new MessagePort(internal, first);
    this.#port2 = new MessagePort(internal, second);
    first.port = this.#port1;
    second.port = this.#port2;
  }

  get port1(): MessagePort {
    return this.#port1;
  }

  get port2(): MessagePort {
    return this.#port2;
  }
}

defineInterface(MessagePort, "MessagePort", 0, { postMessage: 1 });
defineInterface(MessageChannel, "MessageChannel");
