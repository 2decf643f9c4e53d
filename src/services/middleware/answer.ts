import { ProxyError } from "../../errors/proxy-error.ts";
import { BytesBody } from "../../http/body.ts";
import type { Exchange } from "../../http/exchange.ts";
import { HeaderBlock } from "../../http/header-block.ts";
import { ResponseHead, responseIsBodiless } from "../../http/message.ts";
import { reasonPhrase } from "../../wire/reason-phrases.ts";

export type Fields = ReadonlyArray<readonly [name: string, value: string]>;

/** Answers in place of what would follow; what the client still sends is not wanted. */
export function answer(exchange: Exchange, status: number, fields: Fields, body: Uint8Array | null): void {
  exchange.takeBody()?.cancel(new ProxyError("internal", "cannot use the body: the request goes no further"));
  const head = new ResponseHead(status, HeaderBlock.from(fields));
  if (body === null || body.length === 0) exchange.respond(head, null);
  else if (responseIsBodiless(exchange.request.method, status)) {
    if (exchange.request.method === "HEAD") head.announcedLength = body.length;
    exchange.respond(head, null);
  } else exchange.respond(head, new BytesBody(body));
}

/** The same with the status in words. */
export function answerStatus(exchange: Exchange, status: number, fields: Fields = []): void {
  const all = [
    ...fields,
    ["content-type", "text/plain; charset=utf-8"],
    ["cache-control", "no-store"],
  ] as const;
  answer(exchange, status, all, Buffer.from(`${reasonPhrase(status) || status}\n`));
}

/** Why a tunnel goes no further. */
export function refusal(what: string): ProxyError {
  return new ProxyError("connect_refused", `cannot open the tunnel: ${what}`);
}
