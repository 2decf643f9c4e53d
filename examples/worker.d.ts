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
