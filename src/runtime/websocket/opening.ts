import { DOMException } from "../web/dom-exception.ts";
import {
  ArrayPush,
  ReflectApply,
  StringCharCodeAt,
  StringIndexOf,
  StringSlice,
  StringStartsWith,
  SymbolIterator,
} from "../web/primordials.ts";
import { parseUrl } from "../web/url-record.ts";
import { isObject, quote, toUSVString } from "../web/webidl.ts";

/** Where a WebSocket is opened: the URL as it is shown, and as it is fetched. */
export interface SocketUrl {
  readonly shown: string;
  readonly fetched: string;
}

function syntaxError(reason: string): DOMException {
  return new DOMException(`cannot open a WebSocket: ${reason}`, "SyntaxError");
}

/** WebSockets §3.1, the URL. @throws DOMException SyntaxError */
export function socketUrl(given: unknown): SocketUrl {
  const text = toUSVString(given);
  const record = parseUrl(text, null);
  if (record === null) throw syntaxError(`url ${quote(text)} is not a valid URL`);
  const { href } = record;
  if (StringIndexOf(href, "#") >= 0) throw syntaxError("url has a fragment");
  if (StringStartsWith(href, "ws:")) return { shown: href, fetched: `http${StringSlice(href, 2)}` };
  if (StringStartsWith(href, "wss:")) return { shown: href, fetched: `https${StringSlice(href, 3)}` };
  if (StringStartsWith(href, "http:")) return { shown: `ws${StringSlice(href, 4)}`, fetched: href };
  if (StringStartsWith(href, "https:")) return { shown: `wss${StringSlice(href, 5)}`, fetched: href };
  throw syntaxError(`the scheme of url ${quote(href)} is neither ws, wss, http nor https`);
}

/** The subprotocols, as the value of Sec-WebSocket-Protocol. @throws DOMException SyntaxError */
export function protocolList(given: unknown): string {
  if (given === undefined) return "";
  const list: string[] = [];
  const make = isObject(given) ? (given as Iterable<unknown>)[SymbolIterator] : undefined;
  if (typeof make === "function") {
    const iterator = ReflectApply(make, given, []) as Iterator<unknown>;
    for (let step = iterator.next(); !step.done; step = iterator.next())
      ArrayPush(list, `${step.value as string}`);
  } else ArrayPush(list, `${given as string}`);
  let text = "";
  for (let i = 0; i < list.length; i++) {
    const protocol = list[i] as string;
    if (!isToken(protocol)) throw syntaxError(`protocol ${quote(protocol)} is not a token`);
    for (let k = 0; k < i; k++)
      if (list[k] === protocol) throw syntaxError(`protocol ${quote(protocol)} is given twice`);
    text += i === 0 ? protocol : `, ${protocol}`;
  }
  return text;
}

/** RFC 6455 §4.1: characters of U+0021 to U+007E but separators (RFC 2616 §2.2). */
function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = StringCharCodeAt(text, i);
    if (code < 0x21 || code > 0x7e || StringIndexOf('()<>@,;:\\"/[]?={}', text[i] as string) >= 0)
      return false;
  }
  return text !== "";
}
