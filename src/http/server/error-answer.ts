import type { ProxyError } from "../../errors/proxy-error.ts";
import { errorResponse, errorText } from "../http1/writer.ts";
import { noFields, type OutgoingFields } from "../http2/fields.ts";
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

/** The same for HTTP/2, where head and body go their own ways. The status must be one that can be sent. */
export function errorBody(error: ProxyError): {
  fields: OutgoingFields;
  text: string;
} {
  const text = errorText(error.status, error.id);
  const fields = noFields();
  fields[":status"] = error.status;
  fields["content-length"] = text.length;
  fields["content-type"] = "text/plain; charset=utf-8";
  fields["cache-control"] = "no-store";
  if (error.status === 503) fields["retry-after"] = String(retryAfter);
  if (error.field !== null) fields[error.field[0].toLowerCase()] = error.field[1];
  return { fields, text };
}
