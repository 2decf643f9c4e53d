import type { ProxyError } from "../../errors/proxy-error.ts";
import { errorResponse } from "../http1/writer.ts";
import type { RequestHead } from "../message.ts";

/** Seconds that a client is asked to wait when we are too busy. */
const retryAfter = 1;

/**
 * The whole response that tells an error.
 * @param request null when the input was no request, or wanted a tunnel.
 */
export function errorAnswer(
  error: Pick<ProxyError, "status" | "id"> & Partial<Pick<ProxyError, "field">>,
  request: RequestHead | null,
  minor: 0 | 1,
  keepAlive: boolean,
  date: string,
): string {
  const head = request?.method === "HEAD";
  // An error without a status is a client that left; should one be here all the same, then it is the upstream's.
  const status = error.status === 0 ? 502 : error.status;
  const writing = { keepAlive, head, minor, date, field: error.field ?? null };
  return errorResponse(status, error.id, status === 503 ? { ...writing, retryAfter } : writing);
}
