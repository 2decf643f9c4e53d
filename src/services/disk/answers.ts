import { ProxyError } from "../../errors/proxy-error.ts";
import { BytesBody } from "../../http/body.ts";
import type { Exchange } from "../../http/exchange.ts";
import { HeaderBlock } from "../../http/header-block.ts";
import { ResponseHead } from "../../http/message.ts";
import { reasonPhrase } from "../../wire/reason-phrases.ts";

/** Answers with a status and its name: for what is part of serving files, not a failure of the proxy. */
export function answerStatus(
  exchange: Exchange,
  status: number,
  fields: ReadonlyArray<readonly [name: string, value: string]> = [],
): void {
  const head = new ResponseHead(status, HeaderBlock.from(fields));
  const text = `${reasonPhrase(status) || status}\n`;
  head.headers.append("content-type", "text/plain; charset=utf-8");
  head.headers.append("x-content-type-options", "nosniff");
  if (exchange.request.method === "HEAD") {
    head.announcedLength = text.length;
    exchange.respond(head, null);
  } else {
    exchange.respond(head, BytesBody.text(text));
  }
}

/** The status for a file that cannot be opened, or null when it is the machine that failed. */
export function statusOf(error: NodeJS.ErrnoException): number | null {
  switch (error.code) {
    case "ENOENT":
    case "ENOTDIR":
    case "ELOOP":
    case "ENAMETOOLONG":
    case "ENXIO":
      return 404;
    case "EACCES":
    case "EPERM":
      return 403;
    default:
      return null;
  }
}

export function diskFailed(action: string, error: NodeJS.ErrnoException): ProxyError {
  return new ProxyError("disk_failed", `cannot ${action} a file: ${error.message}`, { cause: error });
}
