import type { JwksConfig } from "../../../config/schema/jwt.ts";
import { ProxyError } from "../../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../../http/body.ts";
import { type ByteStream, type ClientFacts, Exchange } from "../../../http/exchange.ts";
import { HeaderBlock } from "../../../http/header-block.ts";
import { RequestHead, type ResponseHead } from "../../../http/message.ts";
import { type TimerOwner, TimerWheel, WheelTimer } from "../../../net/timer-wheel.ts";
import { readKeySet, type VerificationKey } from "../../../net/verification-key.ts";
import type { ServiceContext } from "../../context.ts";
import type { Resolve, Service } from "../../service.ts";

const maxBytes = 1_048_576;
/** How long the answer may say that it holds. */
const maxAgeMs = 24 * 3_600_000;
/** After a failure, the next try comes after so long, and later with each failure. */
const firstPauseMs = 1_000;

/**
 * A JWK Set behind a service. It is fetched when it is first needed and again when it is too old, or knows nothing of a key
 * that a token names; while a newer one is fetched, and while none can be had, the old keys hold.
 */
export class RemoteKeys {
  readonly #config: JwksConfig;
  readonly #context: ServiceContext;
  readonly #onChange: () => void;
  #service: Service | null = null;
  /** Null before the first answer. */
  #keys: readonly VerificationKey[] | null = null;
  #text = "";
  #freshUntil = 0;
  #nextTry = 0;
  #failures = 0;
  #loading: Promise<void> | null = null;
  #lastError: ProxyError | null = null;

  /** @param onChange what was verified before may be signed by a key that is gone */
  constructor(config: JwksConfig, context: ServiceContext, onChange: () => void) {
    this.#config = config;
    this.#context = context;
    this.#onChange = onChange;
  }

  link(resolve: Resolve): void {
    this.#service = resolve(this.#config.service);
  }

  /**
   * The keys that are known now; they come at once, but when there are none yet.
   *
   * @throws ProxyError why none can be had
   */
  async get(): Promise<readonly VerificationKey[]> {
    if (this.#keys === null) {
      await this.#load();
      if (this.#keys === null) throw this.#failed();
    } else if (this.#context.now() >= this.#freshUntil) void this.#load();
    return this.#keys;
  }

  /** The keys once they have been fetched anew, unless that was done lately. Never rejects. */
  async renewed(): Promise<readonly VerificationKey[]> {
    await this.#load();
    return this.#keys ?? [];
  }

  /** Each exchange fails with an error of its own, since each is reported under an id. */
  #failed(): ProxyError {
    const last = this.#lastError;
    if (last === null) return failure("they have not come");
    return new ProxyError(last.code, last.message, { cause: last });
  }

  /** Fetches unless the last time was a moment ago. Never rejects. */
  #load(): Promise<void> {
    if (this.#loading !== null) return this.#loading;
    if (this.#context.now() < this.#nextTry) return Promise.resolve();
    const loading = this.#fetch().finally(() => {
      this.#loading = null;
    });
    this.#loading = loading;
    return loading;
  }

  async #fetch(): Promise<void> {
    const { minPause, ttl } = this.#config;
    try {
      const { text, maxAge } = await this.#ask();
      const keys = readKeySet(text);
      const now = this.#context.now();
      this.#freshUntil = now + Math.min(Math.max(maxAge ?? ttl, minPause), maxAgeMs);
      this.#nextTry = now + minPause;
      this.#failures = 0;
      this.#keys = keys;
      if (text !== this.#text) this.#onChange();
      this.#text = text;
    } catch (error) {
      const problem = error instanceof ProxyError ? error : failure((error as Error).message, error);
      this.#lastError = problem;
      this.#nextTry = this.#context.now() + Math.min(minPause, firstPauseMs * 2 ** this.#failures);
      this.#failures = Math.min(this.#failures + 1, 16);
      this.#context.log.log("warn", "jwt.keys_unavailable", problem.message, {
        service: this.#config.service.name,
        code: problem.code,
      });
    }
  }

  #ask(): Promise<KeyDocument> {
    const service = this.#service;
    if (service === null) throw new Error("the middleware is not linked");
    const { promise, resolve, reject } = Promise.withResolvers<KeyDocument>();
    const wheel = TimerWheel.of(this.#context);
    const question = new KeyRequest(headOf(this.#config), wheel, this.#config.timeout, resolve, reject);
    service.handle(question);
    return promise;
  }
}

interface KeyDocument {
  readonly text: string;
  /** Milliseconds that the answer says it holds; null when it says nothing. */
  readonly maxAge: number | null;
}

function headOf({ url, service }: JwksConfig): RequestHead {
  const whole = url.startsWith("/") ? null : new URL(url);
  const headers = HeaderBlock.from([
    ["accept", "application/jwk-set+json, application/json"],
    ["accept-encoding", "identity"],
  ]);
  if (whole === null) return new RequestHead("GET", "http", service.name, url, headers);
  const scheme = whole.protocol === "https:" ? "https" : "http";
  return new RequestHead("GET", scheme, whole.host, whole.pathname + whole.search, headers);
}

/** Nobody asks but the proxy itself. */
const nobody: ClientFacts = { address: "", port: 0, socket: "", secure: false, httpVersion: "HTTP/1.1" };

class KeyRequest extends Exchange implements TimerOwner, BodySink {
  readonly #wheel: TimerWheel;
  readonly #timer = new WheelTimer(this);
  readonly #resolve: (document: KeyDocument) => void;
  readonly #reject: (error: ProxyError) => void;
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #source: BodySource | null = null;
  #maxAge: number | null = null;
  #isOver = false;

  constructor(
    request: RequestHead,
    wheel: TimerWheel,
    ms: number,
    resolve: (document: KeyDocument) => void,
    reject: (error: ProxyError) => void,
  ) {
    super(request, null, nobody, 1);
    this.#wheel = wheel;
    this.#resolve = resolve;
    this.#reject = reject;
    wheel.arm(this.#timer, wheel.now() + ms);
  }

  inform(): void {}

  respond(head: ResponseHead, body: BodySource | null): void {
    this.handler = null;
    const coding = head.headers.get("content-encoding") ?? "identity";
    if (this.#isOver) body?.cancel(failure("nobody waits for it"));
    else if (head.status !== 200) this.#end(failure(`the answer is ${head.status}`), body);
    else if (coding !== "identity") this.#end(failure("the answer is compressed"), body);
    else if (body === null) this.#end(failure("the answer is empty"), null);
    else {
      this.#maxAge = maxAgeOf(head);
      this.#source = body;
      body.pipe(this);
    }
  }

  upgrade(_head: ResponseHead, stream: ByteStream): void {
    const error = failure("the answer is an upgrade");
    stream.readable.cancel(error);
    stream.writable.fail(error);
    this.#end(error, null);
  }

  fail(error: ProxyError): void {
    this.#source = null;
    this.#end(error, null);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isOver) return false;
    this.#length += chunk.length;
    if (this.#length > maxBytes) {
      this.#end(failure("the answer is longer than 1 MiB"), null);
      return false;
    }
    this.#chunks.push(chunk);
    return true;
  }

  end(): void {
    this.#source = null;
    if (this.#isOver) return;
    this.#isOver = true;
    this.#wheel.cancel(this.#timer);
    this.#resolve({ text: Buffer.concat(this.#chunks).toString("utf8"), maxAge: this.#maxAge });
  }

  onTimer(): void {
    const error = new ProxyError(
      "upstream_total_timeout",
      "cannot fetch the keys: they did not come in time",
    );
    this.#end(error, null);
    this.abort(error);
  }

  #end(error: ProxyError, unread: BodySource | null): void {
    unread?.cancel(error);
    if (this.#isOver) return;
    this.#isOver = true;
    this.#wheel.cancel(this.#timer);
    const source = this.#source;
    this.#source = null;
    source?.cancel(error);
    this.#reject(error);
  }
}

/** RFC 9111 §5.2.2; `no-store` and `no-cache` ask for a short life, which `minPause` is the least of. */
function maxAgeOf(head: ResponseHead): number | null {
  const text = head.headers.getAll("cache-control").join(",").toLowerCase();
  if (/(^|[\s,])no-(store|cache)([\s,=]|$)/.test(text)) return 0;
  const match = /(?:^|[\s,])max-age="?(\d{1,9})/.exec(text);
  return match === null ? null : Number(match[1]) * 1000;
}

function failure(reason: string, cause?: unknown): ProxyError {
  return new ProxyError("upstream_malformed", `cannot fetch the keys: ${reason}`, { cause });
}
