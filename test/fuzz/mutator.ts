import type { Random } from "./random.ts";

/** What parsers have disagreed about: line ends, white space, controls, and all that frames a message. */
const fragments: readonly string[] = [
  "\r\n",
  "\r\n\r\n",
  "\n",
  "\r",
  "\n\r",
  "\r\r\n",
  " ",
  "\t",
  "\x0b",
  "\x0c",
  "\0",
  "\x7f",
  "\x80",
  "\xa0",
  "\xff",
  ":",
  ",",
  ";",
  "=",
  '"',
  "\\",
  "#",
  "@",
  "/",
  "?",
  "*",
  "%00",
  "[::1]",
  "0",
  "1",
  "5",
  "a",
  "F",
  "g",
  "+",
  "-",
  "0x",
  "00",
  "_",
  "ffffffffffffffff",
  "10000000000000000",
  "20000000000000",
  "18446744073709551616",
  "0\r\n\r\n",
  "1\r\nx\r\n",
  "5;a=b\r\nhello\r\n",
  '5;a="b"\r\nhello\r\n',
  "chunked",
  "identity",
  "gzip, ",
  ", chunked",
  "close",
  "keep-alive",
  "upgrade",
  "GET ",
  "HEAD",
  "POST",
  "CONNECT",
  "OPTIONS",
  "HTTP/1.0",
  "HTTP/1.1",
  "HTTP/1.2",
  "HTTP/2.0",
  "http://b:80",
];

const lines: readonly string[] = [
  "Host: a",
  "Host: b:80",
  "Content-Length: 0",
  "Content-Length: 5",
  "Content-Length: 6",
  "content-length:5",
  "Transfer-Encoding: chunked",
  "transfer-encoding:\tCHUNKED ",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding : chunked",
  " Transfer-Encoding: chunked",
  "Connection: close",
  "Connection: keep-alive",
  "Connection: Transfer-Encoding, Content-Length, X",
  "Connection: upgrade",
  "Upgrade: websocket",
  "Upgrade: h2c",
  "Expect: 100-continue",
  "TE: trailers",
  "Trailer: X",
  "X: y",
  "X:",
  ": y",
  " folded",
  "",
];

const heads: readonly string[] = [
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
];

/** One to three changes to a message, some of them to its grammar, some to single octets. Latin-1 text in and out. */
export function mutate(text: string, corpus: readonly string[], random: Random): string {
  let result = text;
  for (let count = 1 + random.below(1 + random.below(3)); count > 0; count--)
    result = change(result, corpus, random);
  return result.slice(0, 8_000);
}

function change(text: string, corpus: readonly string[], random: Random): string {
  const at = random.below(text.length + 1);
  const length = random.below(Math.min(8, text.length - at + 1));
  switch (random.below(13)) {
    case 0:
      return text.slice(0, at) + random.pick(fragments) + text.slice(at);
    case 1:
      return text.slice(0, at) + random.pick(fragments) + text.slice(at + length);
    case 2:
      return text.slice(0, at) + text.slice(at + length);
    case 3:
      return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
    case 4:
      return (
        text.slice(0, at) +
        String.fromCharCode((text.charCodeAt(at) || 0) ^ (1 << random.below(8))) +
        text.slice(at + 1)
      );
    case 5:
      return text.slice(0, at) + text.slice(at, at + length).repeat(1 + random.below(3)) + text.slice(at);
    case 6:
      return withLine(text, random, (all, line) => all.splice(line, 0, random.pick(lines)));
    case 7:
      return withLine(text, random, (all, line) => all.splice(line, 1));
    case 8:
      return withLine(text, random, (all, line) => all.splice(line, 0, all[line] ?? ""));
    case 9:
      return withLine(text, random, (all, line) => all.splice(line, 1, random.pick(lines)));
    case 10:
      return withLine(text, random, (all, line) => {
        const other = random.pick(corpus).split("\r\n");
        all.splice(line, random.below(3), other[random.below(other.length)] ?? "");
      });
    case 11:
      return text + (random.below(2) === 0 ? random.pick(heads) : random.pick(corpus));
    default:
      return withSpace(text, random);
  }
}

function withLine(text: string, random: Random, edit: (all: string[], line: number) => void): string {
  const all = text.split("\r\n");
  edit(all, random.below(all.length));
  return all.join("\r\n");
}

/** Puts white space next to a delimiter, where leniency has made most of the known smuggling possible. */
function withSpace(text: string, random: Random): string {
  const delimiter = random.pick([":", ",", ";", "\r\n", " ", "="]);
  const found: number[] = [];
  for (let at = text.indexOf(delimiter); at >= 0; at = text.indexOf(delimiter, at + 1)) found.push(at);
  if (found.length === 0) return text;
  const at = random.pick(found) + (random.below(2) === 0 ? 0 : delimiter.length);
  return text.slice(0, at) + random.pick([" ", "\t", "\x0b", "\r", "\xa0"]) + text.slice(at);
}
