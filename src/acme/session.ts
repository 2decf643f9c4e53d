import { AsyncLocalStorage } from "node:async_hooks";
import { Agent } from "node:https";
import type * as Acme from "acme-client";
import { AcmeError } from "./acme-error.ts";

/** What of acme-client is used. */
export type AcmeClient = Pick<typeof Acme, "Client" | "crypto" | "axios">;

/** One answer of an authority; a larger one is none. */
const maxAnswer = 1_048_576;
const requestMs = 30_000;

const problemPrefix = "urn:ietf:params:acme:error:";

/**
 * The HTTP side of one order. acme-client sends everything through one axios instance of its own; what a session asks of
 * it (trust, limits, an end) and hears from it (Retry-After, problem documents) goes by the asynchronous context.
 */
export class AcmeSession {
  readonly signal: AbortSignal;
  readonly agent: Agent;
  #client: AcmeClient | null = null;
  #retryAfterMs = 0;
  #problem: { readonly type: string; readonly detail: string } | null = null;
  #answered = false;

  /**
   * @param trust PEM; empty for the public authorities
   * @param signal ends the session at once
   */
  constructor(trust: readonly string[], signal: AbortSignal) {
    this.signal = signal;
    this.agent = new Agent({ keepAlive: true, ...(trust.length > 0 ? { ca: [...trust] } : {}) });
  }

  /** Runs with acme-client, whose requests belong to this session. @throws AcmeError */
  async run<T>(work: (acme: AcmeClient) => Promise<T>): Promise<T> {
    this.#client ??= await loadClient();
    const client = this.#client;
    try {
      return await sessions.run(this, () => work(client));
    } catch (error) {
      throw this.explain(error);
    }
  }

  /** What the last answer asked to wait, in milliseconds; 0 is nothing. */
  get retryAfterMs(): number {
    return this.#retryAfterMs;
  }

  /** Type of the problem that the last answer told, without the common prefix; empty when it told none. */
  get problemType(): string {
    return this.#problem?.type ?? "";
  }

  close(): void {
    this.agent.destroy();
  }

  /** An answer has come. */
  heard(status: number, retryAfter: unknown, data: unknown): void {
    this.#answered = true;
    this.#retryAfterMs = readRetryAfter(retryAfter);
    this.#problem = status >= 400 ? readProblem(data) : null;
  }

  /** A request begins. */
  asked(): void {
    this.#answered = false;
    this.#problem = null;
    this.#retryAfterMs = 0;
  }

  explain(error: unknown): AcmeError {
    if (error instanceof AcmeError) return error;
    if (this.signal.aborted)
      return new AcmeError("cannot go on with the order: it was ended", { reached: false });
    if (this.#problem !== null) {
      const { type, detail } = this.#problem;
      return new AcmeError(`cannot get a certificate: the authority says ${type}: ${detail}`, {
        type,
        retryAfterMs: this.#retryAfterMs,
      });
    }
    const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
    const reason = String(message || code || error);
    if (this.#answered) {
      const text = `cannot get a certificate: the authority answers in an unexpected way: ${printable(reason)}`;
      return new AcmeError(text, { retryAfterMs: this.#retryAfterMs });
    }
    return new AcmeError(`cannot reach the authority: ${printable(reason)}`, { reached: false });
  }
}

const sessions = new AsyncLocalStorage<AcmeSession>();
let loading: Promise<AcmeClient> | null = null;

/** acme-client and axios take a while to load and some 40 MB: they are, when there is something to order. */
function loadClient(): Promise<AcmeClient> {
  loading ??= import("acme-client").then((module) => {
    prepare(module);
    return module;
  });
  return loading;
}

function prepare({ axios }: AcmeClient): void {
  // How often and when to try again is decided in one place, which knows Retry-After and counts failures.
  Object.assign(axios.defaults, { acmeSettings: { retryMaxAttempts: 0, retryDefaultDelay: 1 } });
  axios.interceptors.request.use((config) => {
    const session = sessions.getStore();
    if (session === undefined) throw new Error("cannot send a request: it belongs to no session");
    session.asked();
    config.signal = session.signal;
    config.httpsAgent = session.agent;
    config.timeout = requestMs;
    config.maxContentLength = maxAnswer;
    config.proxy = false;
    return config;
  });
  const heard = (response: { status: number; headers: unknown; data: unknown }): void => {
    const headers = response.headers as Record<string, unknown>;
    sessions.getStore()?.heard(response.status, headers["retry-after"], response.data);
  };
  axios.interceptors.response.use(
    (response) => {
      heard(response);
      return response;
    },
    (error: { readonly response?: { status: number; headers: unknown; data: unknown } }) => {
      if (error.response !== undefined) heard(error.response);
      return Promise.reject(error);
    },
  );
}

/** Seconds, or a date (RFC 9110 §10.2.3), as milliseconds from now. */
function readRetryAfter(value: unknown): number {
  if (typeof value !== "string") return 0;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? 0 : Math.max(0, date - Date.now());
}

/** A problem document (RFC 7807), with the first of its subproblems (RFC 8555 §6.7.1). */
export function readProblem(data: unknown): { readonly type: string; readonly detail: string } | null {
  if (typeof data !== "object" || data === null) return null;
  const { type, detail, subproblems } = data as Record<string, unknown>;
  if (typeof type !== "string") return null;
  const first = Array.isArray(subproblems) ? readProblem(subproblems[0]) : null;
  const text = typeof detail === "string" ? detail : "";
  return {
    type: printable(type.startsWith(problemPrefix) ? type.slice(problemPrefix.length) : type, 100),
    detail: printable(first === null ? text : `${text} (${first.detail})`),
  };
}

/** What somebody else wrote, for the log: in one line, without control characters, and not long. */
function printable(text: string, length = 500): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  const line = text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length)}…` : line;
}
