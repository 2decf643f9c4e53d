import { EventEmitter } from "../parts/node-events.ts";
import { url as legacyUrl } from "../parts/node-url.ts";
import { notImplemented, validateFunction } from "./errors.ts";
import { methods, statusCodes, validateHeaderName, validateHeaderValue } from "./http-common.ts";
import { IncomingMessage } from "./http-message.ts";
import { ClientRequest, type RequestOptions } from "./http-request.ts";
import { Writable } from "./stream-classes.ts";

class Agent extends EventEmitter {
  readonly options: object;
  maxSockets = Number.POSITIVE_INFINITY;
  maxFreeSockets = 256;
  maxTotalSockets = Number.POSITIVE_INFINITY;
  readonly sockets = {};
  readonly freeSockets = {};
  readonly requests = {};
  keepAlive = true;

  constructor(options: object = {}) {
    super();
    this.options = options;
  }

  destroy(): void {}

  getName(): string {
    return "";
  }
}

type Callback = (response: IncomingMessage) => void;

function optionsOf(first: unknown, second: unknown): RequestOptions {
  const rest = (typeof second === "object" && second !== null ? second : {}) as RequestOptions;
  if (typeof first === "string") {
    const parsed = new legacyUrl.URL(first);
    return { ...(legacyUrl.urlToHttpOptions(parsed) as RequestOptions), ...rest };
  }
  if (first instanceof legacyUrl.URL)
    return { ...(legacyUrl.urlToHttpOptions(first) as RequestOptions), ...rest };
  return first as RequestOptions;
}

function makeClient(scheme: "http:" | "https:") {
  const request = (first: unknown, second?: unknown, third?: Callback): ClientRequest => {
    const done = (typeof second === "function" ? second : third) as Callback | undefined;
    if (done !== undefined) validateFunction(done, "callback");
    return new ClientRequest(scheme, optionsOf(first, second), done);
  };
  return {
    Agent,
    ClientRequest,
    IncomingMessage,
    METHODS: [...methods],
    OutgoingMessage: Writable,
    STATUS_CODES: statusCodes,
    Server: absentServer,
    ServerResponse: absentServer,
    createServer: absentServer,
    get(first: unknown, second?: unknown, third?: Callback): ClientRequest {
      const made = request(first, second, third);
      made.end();
      return made;
    },
    globalAgent: new Agent(),
    maxHeaderSize: 16384,
    request,
    setMaxIdleHTTPParsers(): void {},
    validateHeaderName,
    validateHeaderValue,
  };
}

function absentServer(): never {
  throw notImplemented("http.createServer(): requests come to the Worker's fetch handler");
}

/** node:http and node:https, whose clients are `fetch`. */
export const http = makeClient("http:");
export const https = makeClient("https:");
