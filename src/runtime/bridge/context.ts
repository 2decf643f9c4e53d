/** One call of a Worker's handler, as the guest keeps it. */
export class Invocation {
  /** The host's number of the exchange. */
  readonly exchange: number;
  readonly context: ExecutionContext;
  /** What must finish before the exchange is done: the handler, the response's stream, what waitUntil was given. */
  pending = 1;
  /** Aborts the request's signal, if anybody asked for the signal. */
  abort: (() => void) | null = null;
  failOpen = false;
  /** The client is gone. */
  aborted = false;
  /** waitUntil was called. */
  waits = false;
  /** It began with a call over RPC: it lasts as long as the stubs of what it has given away. */
  isCall = false;
  /** The `env` of a Worker that is there as a middleware; null is the Worker's own. */
  readonly env: object | null;
  readonly #finished: (invocation: Invocation) => void;

  constructor(
    exchange: number,
    props: unknown,
    env: object | null,
    finished: (invocation: Invocation) => void,
  ) {
    this.exchange = exchange;
    this.env = env;
    this.#finished = finished;
    this.context = new ExecutionContext(this, props);
  }

  /** One thing more is pending. */
  hold(): void {
    this.pending++;
  }

  /** One of the pending things has ended. */
  release(): void {
    this.pending--;
    if (this.pending === 0) this.#finished(this);
  }
}

/** Hears of promises given to waitUntil. */
export interface WaitUntilHooks {
  /** The first of an invocation. */
  began(invocation: Invocation): void;
  rejected(invocation: Invocation, error: unknown): void;
}

let hooks: WaitUntilHooks = { began() {}, rejected() {} };

export function onWaitUntil(hear: WaitUntilHooks): void {
  hooks = hear;
}

/** What a handler gets as its third argument, `ctx`. */
export class ExecutionContext {
  readonly #invocation: Invocation;
  readonly props: unknown;

  constructor(invocation: Invocation, props: unknown) {
    this.#invocation = invocation;
    this.props = props;
  }

  /** Keeps the exchange's work going until `promise` settles, even when the response is sent or the client left. */
  waitUntil(promise: unknown): void {
    const invocation = this.#invocation;
    if (!invocation.waits) {
      invocation.waits = true;
      hooks.began(invocation);
    }
    void wait(invocation, promise);
  }

  /**
   * If the handler throws, the request goes on to the Worker's fallback service, or to what follows a middleware, unless
   * its body was read.
   */
  passThroughOnException(): void {
    this.#invocation.failOpen = true;
  }
}

async function wait(invocation: Invocation, promise: unknown): Promise<void> {
  invocation.pending++;
  try {
    await promise;
  } catch (error) {
    hooks.rejected(invocation, error);
  }
  invocation.release();
}
