import { newErrorId } from "../../errors/error-id.ts";
import { type ErrorCode, errorCodes, ProxyError } from "../../errors/proxy-error.ts";
import { type BodySource, BytesBody } from "../../http/body.ts";
import { type HeaderBlock, validValue } from "../../http/header-block.ts";
import { ResponseHead } from "../../http/message.ts";
import * as wire from "../../wire/ops.ts";
import { OUT_START_TLS, SECURE_OFF } from "../../wire/socket-ops.ts";
import { WS_FIRST } from "../../wire/websocket-ops.ts";
import { cleanHeaders, type KeptFields } from "./clean-headers.ts";
import { recode } from "./coded-body.ts";
import { contentCoding } from "./coding.ts";
import { GuestCalls } from "./guest-calls.ts";
import { GuestFetch, noClient } from "./guest-fetch.ts";
import { GuestSocket } from "./guest-socket.ts";
import { parseTarget, requestHead } from "./guest-target.ts";
import type { HeldBody } from "./held-body.ts";
import { type Drained, demandNew, OutboxReader } from "./outbox.ts";
import type { Session } from "./session.ts";
import { splitBody } from "./split-body.ts";

const levels = ["debug", "info", "warn", "error"] as const;
const MAX_TIMERS = 10_000;
/** Characters of one message in the log. */
const MAX_LOGGED = 32_768;
/** Errors of a fetch that are the client's answer, if the handler lets them through. */
const passedCodes: ReadonlySet<string> = new Set(
  errorCodes.filter(
    (code) =>
      code.startsWith("upstream_") ||
      code === "address_denied" ||
      code === "service_loop" ||
      code === "worker_subrequests_exceeded",
  ),
);

/** Carries out what a guest asks for. Every value in a record is hostile until it is checked. */
export class Records {
  readonly #session: Session;
  readonly #calls: GuestCalls;
  /** Takes values of fields that are not kept; each reader empties it first. */
  readonly #kept: KeptFields = { contentLength: "", upgrade: "" };

  constructor(session: Session) {
    this.#session = session;
    this.#calls = new GuestCalls(session);
  }

  /** @throws Error when the records are not well formed: then the guest's runtime is broken. */
  handle(drained: Drained): void {
    const reader = new OutboxReader(drained);
    for (let op = reader.next(); op !== 0; op = reader.next()) {
      this.#record(op, reader);
      if (this.#session.isOver) return;
    }
  }

  #record(op: number, reader: OutboxReader): void {
    const session = this.#session;
    switch (op) {
      case wire.OUT_RESPOND:
        this.#respond(reader);
        return;
      case wire.OUT_FAILED:
        this.#failed(reader.int(), reader.int(), reader.text(), reader.text());
        return;
      case wire.OUT_DONE:
        session.done(reader.int());
        if (session.incoming.size === 0) session.unowned = 0;
        return;
      case wire.OUT_WAIT_UNTIL: {
        const incoming = session.incoming.get(reader.int());
        if (incoming !== undefined) incoming.waits = true;
        return;
      }
      case wire.OUT_FETCH:
        this.#fetch(reader);
        return;
      case wire.OUT_CONNECT:
        this.#connect(reader);
        return;
      case wire.OUT_ABORT_FETCH: {
        const id = reader.int();
        const fetch = session.fetches.get(id);
        session.fetches.delete(id);
        fetch?.abort(new ProxyError("client_disconnected", "cannot go on: the Worker aborted the fetch"));
        return;
      }
      case wire.OUT_PULL:
        this.#body(reader.int())?.pull();
        return;
      case wire.OUT_READ_TEXT:
        this.#body(reader.int())?.readText();
        return;
      case wire.OUT_READ_BYTES:
        this.#body(reader.int())?.readBytes();
        return;
      case wire.OUT_CANCEL: {
        const id = reader.int();
        session.bodies.get(id)?.cancel(unread());
        session.bodies.forget(id);
        return;
      }
      case wire.OUT_TEE:
        this.#tee(reader.int(), reader.int(), reader.int());
        return;
      case wire.OUT_WRITE: {
        const out = session.outs.get(reader.int());
        const bytes = reader.bytes(reader.int(), reader.int());
        session.owner.countBytes("out", bytes.length);
        out?.push(bytes);
        return;
      }
      case wire.OUT_END:
        session.outs.get(reader.int())?.finish(null);
        return;
      case wire.OUT_STREAM_FAILED: {
        const out = session.outs.get(reader.int());
        const message = reader.text();
        out?.finish(new ProxyError("worker_body_failed", `cannot send the stream: ${cut(message)}`));
        return;
      }
      case wire.OUT_TIMER:
        this.#timer(reader.int(), reader.int());
        return;
      case wire.OUT_CLEAR_TIMER: {
        const id = reader.int();
        clearTimeout(session.timers.get(id));
        session.timers.delete(id);
        return;
      }
      case wire.OUT_LOG: {
        const level = levels[reader.int()] ?? "info";
        const text = reader.text();
        session.owner.context.log.log(level, "worker.log", cut(text), { worker: session.owner.name });
        return;
      }
      case wire.OUT_EXCEPTION: {
        reader.int();
        const message = reader.text();
        session.owner.context.log.log("error", "worker.exception", cut(message), {
          worker: session.owner.name,
          stack: session.owner.mapStack(reader.text()),
        });
        return;
      }
      case wire.OUT_HEARS:
        session.rejections.heard = reader.int() === 1;
        return;
      case wire.OUT_REJECTION:
        session.rejections.log(cut(reader.text()), reader.text());
        return;
      case wire.OUT_CALL:
        this.#calls.call(reader);
        return;
      case wire.OUT_ACCEPT: {
        const incoming = session.incoming.get(reader.int());
        const out = session.newOut(reader.int(), -1);
        if (incoming?.kind === "tunnel") incoming.accept(out);
        else out.cancel(unread());
        return;
      }
      case wire.OUT_JOIN: {
        const incoming = session.incoming.get(reader.int());
        const socket = session.sockets.get(reader.int());
        if (incoming?.kind !== "tunnel") return;
        if (socket === undefined) {
          incoming.fail(
            new ProxyError("upstream_unreachable", "cannot join the tunnel: its socket is closed"),
          );
        } else if (incoming.join()) socket.join(incoming.tunnel);
        return;
      }
      case OUT_START_TLS:
        this.#startTls(reader.int(), reader.int(), reader.int(), reader.text());
        return;
      default:
        if (op >= WS_FIRST) session.webSockets.record(op, reader);
        else session.rpc.record(op, reader);
    }
  }

  #body(id: number): HeldBody | undefined {
    const session = this.#session;
    const body = session.bodies.get(id);
    if (body !== undefined) return body;
    session.bodyFailed(id, 0, "", "cannot read the body: it is gone");
    return undefined;
  }

  /** The body that a record describes, as a source. Throws when it names one that is not there any more. */
  #source(reader: OutboxReader): DescribedBody {
    const flags = reader.int();
    const kind = flags & 15;
    const ref = reader.int();
    const high = reader.int();
    const low = reader.int();
    return { flags, kind, ref, length: high < 0 ? -1 : high * 4294967296 + (low >>> 0) };
  }

  /**
   * The body as it is to be sent with these headers. One of the host's goes as it is when they name the codings that it is in.
   * @param headers null when they are not valid and nothing will be sent
   * @param encodes the codings that they name are put on
   */
  #resolve(
    body: DescribedBody,
    text: string,
    reader: OutboxReader,
    headers: HeaderBlock | null,
    encodes: boolean,
  ): BodySource | null | undefined {
    if (body.kind === wire.BODY_NONE) return null;
    const codings = headers === null ? "" : contentCoding(headers.text);
    const target = encodes && (body.flags & wire.BODY_CODED) === 0 ? codings : "";
    if (body.kind !== wire.BODY_HANDLE) {
      const source = this.#given(body, text, reader);
      return target === "" || source === undefined ? source : recode(source, "", target);
    }
    const { bodies } = this.#session;
    const held = bodies.get(body.ref)?.coding ?? "";
    const source = bodies.release(body.ref);
    if (source === null) return undefined;
    return held === codings ? source : recode(source, held, target);
  }

  /** A body that the guest itself made. */
  #given(body: DescribedBody, text: string, reader: OutboxReader): BodySource | undefined {
    const session = this.#session;
    switch (body.kind) {
      case wire.BODY_TEXT: {
        const bytes = Buffer.from(text);
        session.owner.countBytes("out", bytes.length);
        return new BytesBody(bytes);
      }
      case wire.BODY_BYTES:
        session.owner.countBytes("out", body.length);
        return new BytesBody(reader.bytes(body.ref, body.length));
      case wire.BODY_OUT:
        return session.newOut(body.ref, body.length);
      default:
        return undefined;
    }
  }

  #respond(reader: OutboxReader): void {
    const session = this.#session;
    const id = reader.int();
    const status = reader.int();
    const described = this.#source(reader);
    const reason = reader.text();
    const block = reader.text();
    const kept = this.#kept;
    kept.contentLength = "";
    const headers = cleanHeaders(block, kept);
    const body = this.#resolve(described, reader.text(), reader, headers, true);
    const incoming = session.incoming.get(id);
    if (incoming === undefined || incoming.settled) {
      body?.cancel(unread());
      return;
    }
    if (headers === null || body === undefined || status < 200 || status > 599 || !validValue(reason)) {
      const what = body === undefined ? "its body was used already" : "its status or headers are not valid";
      if (body) body.cancel(unread());
      this.#refuse(id, "worker_bad_response", `cannot use the Worker's response: ${what}`, "");
      return;
    }
    const head = new ResponseHead(status, headers, reason);
    if (incoming.kind !== "request") {
      body?.cancel(unread());
      incoming.respond(head);
      return;
    }
    if (incoming.exchange.request.method === "HEAD" || status === 304) {
      if (body !== null && body.length >= 0) head.announcedLength = body.length;
      else if (/^\d{1,15}$/.test(kept.contentLength)) head.announcedLength = Number(kept.contentLength);
    }
    incoming.respond(head, body);
  }

  #failed(id: number, failure: number, message: string, stack: string): void {
    const session = this.#session;
    const incoming = session.incoming.get(id);
    if (failure === wire.FAILED_FETCH) {
      this.#fetchFailed(id, message, stack);
      return;
    }
    if (failure === wire.FAILED_OPEN && incoming?.kind === "request" && !incoming.settled) {
      const { exchange } = incoming;
      if (exchange.hasBody || !incoming.hadBody) {
        session.owner.context.log.log(
          "warn",
          "worker.open",
          `handler failed, the request passes through: ${message}`,
          {
            worker: session.owner.name,
            stack: session.owner.mapStack(stack),
          },
        );
        const { next } = incoming.entrypoint;
        incoming.passOn((next === 0 ? null : session.owner.services[next]) ?? session.owner.fallback);
        return;
      }
    }
    if (failure === wire.FAILED_RESPONSE) {
      this.#refuse(id, "worker_bad_response", `cannot use the Worker's answer: ${message}`, stack);
    } else if (failure === wire.FAILED_HANDLER) {
      const code = incoming?.kind === "tunnel" ? "connect_unsupported" : "worker_no_handler";
      this.#refuse(id, code, `cannot call the Worker: ${message}`, stack);
    } else this.#refuse(id, "worker_exception", message, stack);
  }

  /** The handler let through what a fetch, or a body that it read, failed with. */
  #fetchFailed(id: number, code: string, stack: string): void {
    const session = this.#session;
    const known = passedCodes.has(code) ? (code as ErrorCode) : "worker_exception";
    const last = session.incoming.get(id)?.lastFailure ?? null;
    const cause = last?.code === code ? last : null;
    const what = `cannot answer: a fetch of Worker "${session.owner.name}" failed`;
    this.#refuse(id, known, cause === null ? `${what}: ${code}` : `${what}: ${cause.message}`, stack, cause);
  }

  /**
   * Fails an exchange because of what its Worker did; the log gets the mapped stack, the client the id. What a handler
   * throws when its client has left concerns nobody.
   * @param cause is the reason, and has the same id if it was logged
   */
  #refuse(
    id: number,
    code: ErrorCode,
    message: string,
    stack: string,
    cause: ProxyError | null = null,
  ): void {
    const session = this.#session;
    const incoming = session.incoming.get(id);
    const details = { worker: session.owner.name };
    const error = new ProxyError(code, message, cause === null ? { details } : { details, cause });
    error.id = cause === null || cause.id === "" ? newErrorId() : cause.id;
    const level = incoming === undefined || incoming.settled ? "debug" : "error";
    session.owner.context.log.log(level, "worker.failed", cut(message), {
      worker: session.owner.name,
      code,
      id: error.id,
      stack: session.owner.mapStack(stack),
    });
    incoming?.fail(error);
  }

  #fetch(reader: OutboxReader): void {
    const session = this.#session;
    const id = reader.int();
    const named = reader.int();
    const owner = named || session.soleOwner;
    const binding = reader.int();
    const described = this.#source(reader);
    const method = reader.text();
    const url = reader.text();
    const block = reader.text();
    const kept = this.#kept;
    kept.upgrade = "";
    const headers = cleanHeaders(block, kept);
    const isCache = binding === wire.CACHE_BINDING;
    const body = this.#resolve(described, reader.text(), reader, headers, isCache);
    const service = isCache ? session.owner.cache : session.owner.services[binding];
    const incoming = session.incoming.get(owner);
    const head = requestHead(method, url, headers);
    if (service === undefined || head === null || body === undefined) {
      body?.cancel(unread());
      session.tellFetchFailed(id, owner, "request_malformed");
      return;
    }
    if (this.#tooMany(incoming)) {
      body?.cancel(unread());
      session.owner.countLimit("subrequests");
      session.tellFetchFailed(id, owner, "worker_subrequests_exceeded");
      return;
    }
    const isUpgrade = kept.upgrade !== "" && kept.upgrade.toLowerCase() === "websocket";
    if (isUpgrade && body === null && !isCache) session.webSockets.prepare(head);
    const client = incoming === undefined ? noClient : incoming.client;
    const depth = (incoming?.depth ?? deepest(session)) + 1;
    demandNew(session.fetches.has(id), "a fetch");
    const known = incoming === undefined ? 0 : owner;
    const coded = (described.flags & wire.ANSWER_CODED) !== 0;
    const fetch = new GuestFetch(session, id, known, named !== 0, head, body, client, depth, coded);
    session.fetches.set(id, fetch);
    service.handle(fetch);
  }

  #tooMany(incoming: { subrequests: number } | undefined): boolean {
    const session = this.#session;
    const { subrequests } = session.owner.limits;
    if (incoming !== undefined) return ++incoming.subrequests > subrequests;
    return ++session.unowned > subrequests * Math.max(1, session.incoming.size);
  }

  #connect(reader: OutboxReader): void {
    const session = this.#session;
    const id = reader.int();
    const owner = reader.int() || session.soleOwner;
    const binding = reader.int();
    const out = session.newOut(reader.int(), -1);
    const secure = reader.int();
    const service = session.owner.services[binding];
    const incoming = session.incoming.get(owner);
    const target = parseTarget(reader.text());
    if (service === undefined || target === null || this.#tooMany(incoming)) {
      out.cancel(unread());
      const code = target === null ? "connect_target_invalid" : "worker_subrequests_exceeded";
      session.tellFetchFailed(id, owner, code);
      return;
    }
    const client = incoming === undefined ? noClient : incoming.client;
    const depth = (incoming?.depth ?? deepest(session)) + 1;
    demandNew(session.sockets.has(id), "a socket");
    const known = incoming === undefined ? 0 : owner;
    const socket = new GuestSocket(session, id, known, target, client, depth, out, secure);
    session.sockets.set(id, socket);
    service.connect(socket);
  }

  #startTls(id: number, upgraded: number, outId: number, host: string): void {
    const session = this.#session;
    const out = session.newOut(outId, -1);
    const plain = session.sockets.get(id);
    const target = parseTarget(`${host.includes(":") ? `[${host}]` : host}:1`);
    if (plain === undefined || target === null) {
      out.cancel(unread());
      session.tellFetchFailed(upgraded, 0, target === null ? "connect_target_invalid" : "upstream_reset");
      return;
    }
    demandNew(session.sockets.has(upgraded), "a socket");
    const { owner, client, depth } = plain;
    const secured = new GuestSocket(session, upgraded, owner, plain, client, depth, out, SECURE_OFF);
    session.sockets.set(upgraded, secured);
    plain.upgrade(secured, host);
  }

  #tee(id: number, first: number, second: number): void {
    const session = this.#session;
    const { bodies } = session;
    const whole = bodies.get(id);
    // The host's own numbers are positive: one that is to come must not be taken.
    const taken = bodies.get(first) !== undefined || bodies.get(second) !== undefined;
    demandNew(taken || first >= 0 || second >= 0 || first === second, "a body");
    const source = bodies.release(id);
    if (whole === undefined || source === null) return;
    const [one, two] = splitBody(source, session.buffer);
    bodies.keep(first, one, whole.owner, whole.tie).headers = whole.headers;
    bodies.keep(second, two, whole.owner, whole.tie).headers = whole.headers;
  }

  #timer(id: number, ms: number): void {
    const session = this.#session;
    if (session.timers.size >= MAX_TIMERS) {
      session.exceeded("timers", "worker_memory_exceeded", `it set more than ${MAX_TIMERS} timers`);
      return;
    }
    const fire = (): void => {
      session.timers.delete(id);
      const { inbox } = session;
      const at = inbox.begin(wire.IN_TIMER, 1, 0);
      inbox.ints[at] = id;
      session.touch();
    };
    session.timers.set(id, setTimeout(fire, Math.max(0, ms)));
  }
}

/** The fields of a record that describe a body, read. */
interface DescribedBody {
  readonly flags: number;
  readonly kind: number;
  readonly ref: number;
  readonly length: number;
}

/** A guest's text as the log takes it. */
function cut(text: string): string {
  return text.length > MAX_LOGGED ? `${text.slice(0, MAX_LOGGED)}…` : text;
}

function unread(): ProxyError {
  return new ProxyError("client_disconnected", "cannot use the body: nobody reads it");
}

export function deepest(session: Session): number {
  let depth = 0;
  for (const incoming of session.incoming.values()) depth = Math.max(depth, incoming.depth);
  return depth;
}
