/**
 * What a Worker gets beside the Web platform, which TypeScript's own library "webworker" declares. The names are those of
 * @cloudflare/workers-types, so that code which is checked with these is also checked with those.
 */
export const runtimeTypes = `/** A service binding. */
interface Fetcher {
  fetch(input: Request | URL | string, init?: RequestInit): Promise<Response>;
  /** Opens a stream of bytes. What the address means is up to the service; an \`external\` ignores it. */
  connect(address: SocketAddress | string, options?: SocketOptions): Socket;
}

/** A service binding that leads to a Worker: its entrypoint's methods are called over RPC. */
type Service<T = undefined> = Fetcher & Omit<Rpc.Members<Rpc.InstanceOf<T>>, keyof Fetcher>;

declare namespace Rpc {
  /** A class of entrypoints, or an object that holds handlers. */
  type InstanceOf<T> = T extends abstract new (...parameters: never[]) => infer I ? I : T;

  type Callable = (...parameters: never[]) => unknown;
  type Target = import("cloudflare:workers").RpcTarget;
  /** What goes over by value and is not looked into. */
  type Opaque =
    | Primitive
    | Date
    | RegExp
    | Error
    | Blob
    | Headers
    | Request
    | Response
    | ArrayBuffer
    | ArrayBufferView
    | ReadableStream
    | WritableStream;
  // biome-ignore lint/suspicious/noConfusingVoidType: what a method without a result gives
  type Primitive = string | number | boolean | bigint | null | undefined | void;

  /** A value as whoever gets it over RPC sees it: functions and RpcTargets have become stubs. */
  type Received<T> = T extends Opaque
    ? T
    : T extends Target | Callable
      ? Stub<T>
      : T extends Map<infer K, infer V>
        ? Map<Received<K>, Received<V>>
        : T extends Set<infer V>
          ? Set<Received<V>>
          : T extends object
            ? { [K in keyof T]: Received<T[K]> }
            : T;

  /** What may be given where \`T\` is expected: a stub of it as well. */
  type Given<T> = T extends Target | Callable ? T | Stub<T> : T;

  type Stub<T> = Members<T> & Called<T> & Disposable & { dup(): Stub<T> };

  /** A result on its way: it can be awaited, and called before it is there. */
  type Result<T> = Promise<Received<T> & (T extends Primitive ? unknown : Disposable)> &
    Disposable &
    (T extends Primitive ? unknown : Members<T> & Called<T>);

  type Called<T> = T extends (...parameters: infer P) => infer R
    ? (...parameters: { [I in keyof P]: Given<P[I]> }) => Result<Awaited<R>>
    : unknown;

  type Members<T> = T extends Opaque
    ? unknown
    : {
        [K in Exclude<keyof T, symbol | "dup" | "constructor" | "then" | "catch" | "finally">]: Member<T[K]>;
      };

  type Member<T> = T extends (...parameters: infer P) => infer R
    ? (...parameters: { [I in keyof P]: Given<P[I]> }) => Result<Awaited<R>>
    : Result<Awaited<T>>;
}

declare namespace Cloudflare {
  /** Of \`env\` from "cloudflare:workers"; what config binds is added to it. */
  interface Env extends Pick<object, never> {}
}

interface ExecutionContext<Props = unknown> {
  /** What the config gave with the reference. */
  readonly props: Props;
  waitUntil(promise: Promise<unknown>): void;
  passThroughOnException(): void;
}

/** What a Worker's default export may hold. */
interface ExportedHandler<Env = unknown, Props = unknown> {
  fetch?(request: Request, env: Env, ctx: ExecutionContext<Props>): Response | Promise<Response>;
  /** Decides on a tunnel: a socket lets it through, a Response refuses it. */
  connect?(
    socket: Socket,
    env: Env,
    ctx: ExecutionContext<Props>,
  ): Promise<Socket | Response | undefined> | Socket | Response | undefined;
  test?(controller: object, env: Env, ctx: ExecutionContext<Props>): void | Promise<void>;
}

interface SocketAddress {
  hostname: string;
  port: number;
}

interface SocketOptions {
  secureTransport?: "off" | "on" | "starttls";
  /** The end of what comes in does not end what goes out. */
  allowHalfOpen?: boolean;
}

interface SocketInfo {
  readonly remoteAddress: string;
  /** In a \`connect\` handler: the \`host:port\` that the client asked for. */
  readonly localAddress: string;
}

/** A stream of bytes in both directions. */
interface Socket {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly opened: Promise<SocketInfo>;
  readonly closed: Promise<void>;
  readonly upgraded: boolean;
  readonly secureTransport: "off" | "on" | "starttls";
  close(): Promise<void>;
  startTls(options?: { expectedServerHostname?: string }): Socket;
}

/** A WebSocket that came of a pair or of a fetch is accepted before it is used. */
interface WebSocket {
  /** Events come from now on. allowHalfOpen leaves it to the Worker to answer a close. */
  accept(options?: { allowHalfOpen?: boolean }): void;
}

/** Two WebSockets, each of which receives what the other sends. One goes into a Response, the other is accepted. */
declare class WebSocketPair {
  readonly 0: WebSocket;
  readonly 1: WebSocket;
}

interface ResponseInit {
  /** With status 101: the WebSocket that the client gets. */
  webSocket?: WebSocket | null;
}

interface Response {
  /** What a fetch that asked for an upgrade to websocket opened. */
  readonly webSocket: WebSocket | null;
}

/** Rewrites HTML while it streams; see https://developers.cloudflare.com/workers/runtime-apis/html-rewriter/. */
declare class HTMLRewriter {
  on(selector: string, handlers: HTMLRewriterElementHandlers): this;
  onDocument(handlers: HTMLRewriterDocumentHandlers): this;
  transform(response: Response): Response;
}

interface HTMLRewriterElementHandlers {
  element?(element: HTMLRewriterElement): void | Promise<void>;
  comments?(comment: HTMLRewriterComment): void | Promise<void>;
  text?(chunk: HTMLRewriterText): void | Promise<void>;
}

interface HTMLRewriterDocumentHandlers {
  doctype?(doctype: HTMLRewriterDoctype): void | Promise<void>;
  comments?(comment: HTMLRewriterComment): void | Promise<void>;
  text?(chunk: HTMLRewriterText): void | Promise<void>;
  end?(end: HTMLRewriterEnd): void | Promise<void>;
}

type HTMLRewriterContent = string | ReadableStream<Uint8Array> | Response;

interface HTMLRewriterContentOptions {
  html?: boolean;
}

interface HTMLRewriterToken {
  readonly removed: boolean;
  before(content: HTMLRewriterContent, options?: HTMLRewriterContentOptions): this;
  after(content: HTMLRewriterContent, options?: HTMLRewriterContentOptions): this;
  replace(content: HTMLRewriterContent, options?: HTMLRewriterContentOptions): this;
  remove(): this;
}

interface HTMLRewriterElement extends HTMLRewriterToken {
  tagName: string;
  readonly namespaceURI: string;
  readonly attributes: IterableIterator<string[]>;
  getAttribute(name: string): string | null;
  hasAttribute(name: string): boolean;
  setAttribute(name: string, value: string): this;
  removeAttribute(name: string): this;
  prepend(content: HTMLRewriterContent, options?: HTMLRewriterContentOptions): this;
  append(content: HTMLRewriterContent, options?: HTMLRewriterContentOptions): this;
  setInnerContent(content: HTMLRewriterContent, options?: HTMLRewriterContentOptions): this;
  removeAndKeepContent(): this;
  onEndTag(handler: (tag: HTMLRewriterEndTag) => void | Promise<void>): void;
}

interface HTMLRewriterEndTag {
  name: string;
  before(content: HTMLRewriterContent, options?: HTMLRewriterContentOptions): this;
  after(content: HTMLRewriterContent, options?: HTMLRewriterContentOptions): this;
  remove(): this;
}

interface HTMLRewriterComment extends HTMLRewriterToken {
  text: string;
}

interface HTMLRewriterText extends HTMLRewriterToken {
  readonly text: string;
  readonly lastInTextNode: boolean;
}

interface HTMLRewriterDoctype {
  readonly name: string | null;
  readonly publicId: string | null;
  readonly systemId: string | null;
}

interface HTMLRewriterEnd {
  append(content: HTMLRewriterContent, options?: HTMLRewriterContentOptions): this;
}

declare module "cloudflare:workers" {
  const target: unique symbol;
  export abstract class RpcTarget {
    protected readonly [target]: true;
  }
  export abstract class WorkerEntrypoint<Env = Cloudflare.Env, Props = unknown> {
    constructor(ctx: ExecutionContext<Props>, env: Env);
    protected readonly ctx: ExecutionContext<Props>;
    protected readonly env: Env;
    fetch?(request: Request): Response | Promise<Response>;
    connect?(socket: Socket): Promise<Socket | Response | undefined> | Socket | Response | undefined;
  }
  export const RpcStub: new <T extends object>(target: T) => Rpc.Stub<T>;
  export type RpcStub<T> = Rpc.Stub<T>;
  export const env: Cloudflare.Env;
  export function waitUntil(promise: Promise<unknown>): void;
}

declare module "cloudflare:sockets" {
  export function connect(address: SocketAddress | string, options?: SocketOptions): Socket;
}
`;
