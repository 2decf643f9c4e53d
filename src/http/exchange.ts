import type { ProxyError } from "../errors/proxy-error.ts";
import type { BodySink, BodySource } from "./body.ts";
import type { RequestHead, ResponseHead } from "./message.ts";

/** What is known of the client, from the socket itself or from a proxy in front that the config trusts. */
export interface ClientFacts {
  /** IP address, or empty for a unix socket. */
  readonly address: string;
  readonly port: number;
  /** The name of the socket in the config. */
  readonly socket: string;
  readonly secure: boolean;
  /** As in `request.cf.httpProtocol`, for example `HTTP/1.1`. */
  readonly httpVersion: string;
  /** Absent or null on a connection without TLS. */
  readonly tls?: TlsFacts | null;
  /** The authority that the client asked for, whatever a Worker has made of it since. */
  readonly host?: string;
  /** Addresses of the trusted proxies between the client and us, nearest to the client first, with ", " between. */
  readonly hops?: string;
  /** The address that the client connected to; absent or empty where it is not known. */
  readonly localAddress?: string;
  readonly localPort?: number;
}

/** What the handshake of a connection told. */
export interface TlsFacts {
  /** As in `request.cf.tlsVersion`: `TLSv1.3`. */
  readonly version: string;
  /** As in `request.cf.tlsCipher`: `TLS_AES_128_GCM_SHA256`. */
  readonly cipher: string;
  /** The members of `request.cf` that come from TLS, as a JSON object. */
  readonly cf: string;
  /** The client's certificate if it was verified, as in Client-Cert (RFC 9440 §2.2); empty otherwise. */
  readonly clientCertificate: string;
}

/** The writing half of a stream. A body's sink is made for its source; this one meets its source later. */
export interface StreamSink extends BodySink {
  /**
   * Called once, before the first `write`, by whoever writes: `source.resume` is called when the stream takes more after
   * a `write` that returned false, `source.cancel` when it takes nothing more.
   */
  attach(source: Pick<BodySource, "resume" | "cancel">): void;
}

/** Two directions of bytes: a tunnel, or a connection after an upgrade. */
export interface ByteStream {
  readonly readable: BodySource;
  readonly writable: StreamSink;
  /** Certificates (PEM) that whoever opened it trusts in place of the system's, for TLS that is started on it. */
  readonly trust?: readonly string[];
  /** Whoever opened it keeps time limits of its own: the one for streams on which nothing moves is not for it. */
  readonly isTimed?: boolean;
}

/** What a service leaves with an exchange so that it hears of its early end. */
export interface ExchangeHandler {
  /** The downstream is gone, or gave up. Stop the work and free what is held; no answer is taken any more. */
  onAbort(error: ProxyError): void;
}

/**
 * One request with its response, as the host holds it. Whoever opens it (a socket, a Worker's binding) subclasses it to
 * take the answer; the service that it is handed to calls exactly one of `respond`, `upgrade` and `fail`, once, and is
 * not called from it re-entrantly. After `abort`, answers are ignored and their bodies cancelled.
 */
export abstract class Exchange {
  readonly request: RequestHead;
  readonly client: ClientFacts;
  /** How many services have passed the exchange on, counted to stop loops; see `maxDepth`. */
  readonly depth: number;
  /** The service that has taken the exchange sets it, if it needs to hear of an abort. */
  handler: ExchangeHandler | null = null;
  /** Set once the downstream is gone. */
  aborted: ProxyError | null = null;
  /** How often the request was sent to an upstream, when it was more than once; 0 otherwise. */
  attempts = 0;
  /** Who asks, as far as the socket has asked for a name and password; for the access log. */
  user = "";
  #body: BodySource | null;

  static readonly maxDepth = 32;

  constructor(request: RequestHead, body: BodySource | null, client: ClientFacts, depth: number) {
    this.request = request;
    this.client = client;
    this.depth = depth;
    this.#body = body;
  }

  get hasBody(): boolean {
    return this.#body !== null;
  }

  /** Length of the request's body: 0 without one, -1 when it is not known. */
  get bodyLength(): number {
    return this.#body === null ? 0 : this.#body.length;
  }

  /** Hands the request's body to its one consumer; null when there is none, or it was taken. */
  takeBody(): BodySource | null {
    const body = this.#body;
    this.#body = null;
    return body;
  }

  /** Called by a service that sends the request once more. @param count attempts so far, the new one included */
  noteAttempts(count: number): void {
    this.attempts = count;
  }

  /** A 1xx response other than 101, for example 100 or 103; ignored where the downstream cannot take it. */
  abstract inform(head: ResponseHead): void;

  /** The final response. A body given to a response that must not have one is cancelled. */
  abstract respond(head: ResponseHead, body: BodySource | null): void;

  /**
   * Answers 101 (or 2xx to CONNECT) and goes over to bytes in both directions: what the client sends goes to
   * `stream.writable`, what `stream.readable` yields goes to the client.
   */
  abstract upgrade(head: ResponseHead, stream: ByteStream): void;

  /** No response can be had. The downstream gets the error's status and id if its response has not begun. */
  abstract fail(error: ProxyError): void;

  /** Called by whoever opened the exchange, when its client is gone. Idempotent. */
  abort(error: ProxyError): void {
    if (this.aborted !== null) return;
    this.aborted = error;
    const { handler } = this;
    this.handler = null;
    this.takeBody()?.cancel(error);
    handler?.onAbort(error);
  }
}
