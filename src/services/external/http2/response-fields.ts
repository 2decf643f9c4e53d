import { HeaderBlock } from "../../../http/header-block.ts";
import { CONTENT_LENGTH, kindOfText, ORDINARY } from "../../../http/http1/field-kind.ts";
import { parseContentLength } from "../../../http/http1/field-values.ts";
import { malformed } from "../../../http/http1/violation.ts";
import { fieldLine, isForbidden } from "../../../http/http2/fields.ts";
import { ResponseHead } from "../../../http/message.ts";

/** A response as a header section of HTTP/2 tells it. */
export interface Http2Response {
  readonly head: ResponseHead;
  /** What Content-Length says; -1 without it. */
  readonly length: number;
}

/** Reads the header section of a response, interim ones included. @throws Violation */
export function readResponse(status: number, raw: readonly string[]): Http2Response {
  if (status < 100 || status > 599) throw malformed("the status is not 100 to 599");
  if (status === 101) throw malformed("101 has no meaning in HTTP/2");
  let text = "";
  let length = -1;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name === ":status") continue;
    const kind = kindOfText(name, 0, name.length);
    if (kind === ORDINARY) {
      text += fieldLine(name, value);
    } else if (kind === CONTENT_LENGTH) {
      if (length >= 0) throw malformed("Content-Length is repeated");
      length = parseContentLength(value);
    } else if (isForbidden(kind)) {
      throw malformed("a field of the connection stands in it");
    }
  }
  return { head: new ResponseHead(status, new HeaderBlock(text)), length };
}
