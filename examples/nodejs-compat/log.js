import { AsyncLocalStorage } from "node:async_hooks";
import { EventEmitter } from "node:events";

/** Knows the request that code works for, however deep it is and whatever it has awaited. */
const requests = new AsyncLocalStorage();

export const events = new EventEmitter();
events.on("signed", (bytes) => log(`signed ${bytes} bytes`));

export function forRequest(id, work) {
  return requests.run(id, work);
}

export function log(text) {
  console.log(`[${requests.getStore()}] ${text}`);
}
