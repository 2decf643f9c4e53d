import { isUnder } from "../net/private-names.ts";

/** Names under these are everybody's own, so a certificate for each is made as soon as somebody asks for it. */
const suffixes = ["localhost", "test"];

/** A supervisor that does not answer by then is busy; the client gets a certificate of another name. */
const waitMs = 5_000;

/** More names than this are not waited for at a time. */
const maxWaiting = 16;

/** A name of a host in lower case (RFC 1123 §2.1), underscores allowed. */
const hostName =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** True for a name of which the development CA makes a certificate without being told so by the config. */
export function isMadeOnDemand(name: string): boolean {
  return hostName.test(name) && suffixes.some((suffix) => isUnder(name, suffix));
}

/** Handshakes that wait until the development CA has made a certificate for the name that they ask for. */
export class MissingLeaves {
  readonly #ask: (name: string) => void;
  readonly #waiting: Map<string, Array<() => void>> = new Map();

  /** @param ask has a certificate made, which then comes like any other; see `settle` */
  constructor(ask: (name: string) => void) {
    this.#ask = ask;
  }

  /** Calls `done` when the certificate may be there, or will not be. */
  want(name: string, done: () => void): void {
    const lower = name.toLowerCase();
    const waiting = this.#waiting.get(lower);
    if (waiting !== undefined) {
      waiting.push(done);
    } else if (!isMadeOnDemand(lower) || this.#waiting.size >= maxWaiting) {
      done();
    } else {
      this.#waiting.set(lower, [done]);
      setTimeout(() => this.#release(lower), waitMs).unref();
      this.#ask(lower);
    }
  }

  /** Other certificates are shown. @param has true for a name that is among them */
  settle(has: (name: string) => boolean): void {
    for (const name of [...this.#waiting.keys()]) if (has(name)) this.#release(name);
  }

  #release(name: string): void {
    const waiting = this.#waiting.get(name);
    this.#waiting.delete(name);
    for (const done of waiting ?? []) done();
  }
}
