// What a Worker gets from Sluice beside the Web APIs, for the type checker.

/** A `service` binding. */
interface Fetcher {
  fetch(input: Request | URL | string, init?: RequestInit): Promise<Response>;
  /** Opens a stream of bytes. What the address means is up to the service; an `external` ignores it. */
  connect(address: string | { hostname: string; port: number }): Socket;
}

interface SocketInfo {
  readonly remoteAddress: string;
  /** In a `connect` handler: the `host:port` that the client asked for. */
  readonly localAddress: string;
}

/** A stream of bytes in both directions. */
interface Socket {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly opened: Promise<SocketInfo>;
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

interface ExecutionContext<Props = unknown> {
  readonly props: Props;
  waitUntil(promise: Promise<unknown>): void;
  passThroughOnException(): void;
}

/** What a Worker's default export may hold. */
interface ExportedHandler<Env = unknown> {
  fetch?(request: Request, env: Env, ctx: ExecutionContext): Response | Promise<Response>;
  /** Decides on a tunnel: a socket lets it through, a Response refuses it. */
  connect?(socket: Socket, env: Env, ctx: ExecutionContext): Promise<Socket | Response | undefined>;
}

interface ContentOptions {
  /** The content is markup; else it is text, and what would be markup in it is escaped. */
  html?: boolean;
}

/** A piece of a document, valid while its handler runs. */
interface Content {
  before(content: string, options?: ContentOptions): this;
  after(content: string, options?: ContentOptions): this;
  remove(): this;
}

interface ReplaceableContent extends Content {
  readonly removed: boolean;
  replace(content: string, options?: ContentOptions): this;
}

interface RewriterEndTag extends Content {
  name: string;
}

interface RewriterText extends ReplaceableContent {
  /** As it is written, with character references; "" for the last piece. */
  readonly text: string;
  readonly lastInTextNode: boolean;
}

interface RewriterComment extends ReplaceableContent {
  text: string;
}

interface RewriterElement extends ReplaceableContent {
  tagName: string;
  readonly attributes: IterableIterator<[string, string]>;
  readonly namespaceURI: string;
  getAttribute(name: string): string | null;
  hasAttribute(name: string): boolean;
  setAttribute(name: string, value: string): this;
  removeAttribute(name: string): this;
  prepend(content: string, options?: ContentOptions): this;
  append(content: string, options?: ContentOptions): this;
  setInnerContent(content: string, options?: ContentOptions): this;
  removeAndKeepContent(): this;
  onEndTag(handler: (endTag: RewriterEndTag) => void | Promise<void>): void;
}

interface RewriterDoctype {
  readonly name: string | null;
  readonly publicId: string | null;
  readonly systemId: string | null;
}

interface ElementHandlers {
  element?(element: RewriterElement): void | Promise<void>;
  comments?(comment: RewriterComment): void | Promise<void>;
  text?(text: RewriterText): void | Promise<void>;
}

interface DocumentHandlers {
  doctype?(doctype: RewriterDoctype): void | Promise<void>;
  comments?(comment: RewriterComment): void | Promise<void>;
  text?(text: RewriterText): void | Promise<void>;
  end?(end: { append(content: string, options?: ContentOptions): unknown }): void | Promise<void>;
}

/** Rewrites HTML as it streams through. */
declare class HTMLRewriter {
  on(selector: string, handlers: ElementHandlers): this;
  onDocument(handlers: DocumentHandlers): this;
  transform(response: Response): Response;
}
