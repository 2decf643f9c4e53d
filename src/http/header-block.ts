/**
 * A header section as it stands on the wire: lines `name: value\r\n`, one after another, in Latin-1, without the empty
 * line at the end. Keeping the text means that unchanged fields go out as the bytes that came in, and that a block
 * crosses the bridge to a Worker as one string that is parsed only when touched.
 *
 * Every line in a block is valid (RFC 9110 §5.5, §5.6.2): the HTTP/1.1 parser and `validName`/`validValue` see to that
 * before anything gets in, so nothing that is written from a block can split a message.
 */
export class HeaderBlock {
  /** The lines. Whoever assigns it warrants that each line is valid and ends in CRLF. */
  text: string;

  constructor(text = "") {
    this.text = text;
  }

  static from(fields: Iterable<readonly [string, string]>): HeaderBlock {
    const block = new HeaderBlock();
    for (const [name, value] of fields) block.append(name, value);
    return block;
  }

  /** The first value of `name`, without surrounding white space, or null. */
  get(name: string): string | null {
    const line = this.#find(name, 0);
    return line < 0 ? null : this.#valueAt(line, name.length);
  }

  /** All values of `name`, in order. */
  getAll(name: string): string[] {
    const values: string[] = [];
    for (let line = this.#find(name, 0); line >= 0; line = this.#find(name, this.#next(line))) {
      values.push(this.#valueAt(line, name.length));
    }
    return values;
  }

  has(name: string): boolean {
    return this.#find(name, 0) >= 0;
  }

  /** Adds a line. @throws TypeError when the name or value could break the message. */
  append(name: string, value: string): void {
    if (!validName(name)) throw new TypeError(`cannot add a header: "${name}" is not a valid name`);
    if (!validValue(value))
      throw new TypeError(`cannot add header "${name}": its value has forbidden characters`);
    this.text += `${name}: ${value}\r\n`;
  }

  set(name: string, value: string): void {
    this.delete(name);
    this.append(name, value);
  }

  /**
   * Takes out every line of `name`, and those whose name differs in `-` and `_` only: CGI, and what is built like it (RFC
   * 3875 §4.1.18), knows both by one name, so a client's `X_User` would pass there for the `X-User` that was taken out.
   */
  delete(name: string): void {
    const { length } = name;
    for (let line = 0; line < this.text.length; ) {
      const next = this.#next(line);
      if (this.text.charCodeAt(line + length) === 58 && alikeName(this.text, line, name)) {
        this.text = this.text.slice(0, line) + this.text.slice(next);
      } else {
        line = next;
      }
    }
  }

  clone(): HeaderBlock {
    return new HeaderBlock(this.text);
  }

  /** Name and value pairs, names as they were written. */
  *[Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    const { text } = this;
    for (let line = 0; line < text.length; ) {
      const end = text.indexOf("\r\n", line);
      const colon = text.indexOf(":", line);
      yield [text.slice(line, colon), trimmed(text, colon + 1, end)];
      line = end + 2;
    }
  }

  #find(name: string, from: number): number {
    const { text } = this;
    const { length } = name;
    for (let line = from; line < text.length; line = this.#next(line)) {
      if (text.charCodeAt(line + length) === 58 && sameName(text, line, name)) return line;
    }
    return -1;
  }

  #next(line: number): number {
    return this.text.indexOf("\r\n", line) + 2;
  }

  #valueAt(line: number, nameLength: number): string {
    return trimmed(this.text, line + nameLength + 1, this.text.indexOf("\r\n", line));
  }
}

/** ASCII case-insensitive comparison of `name` with the text at `at`. */
function sameName(text: string, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const a = text.charCodeAt(at + i);
    const b = name.charCodeAt(i);
    if (a !== b && lower(a) !== lower(b)) return false;
  }
  return true;
}

/** As `sameName`, with `_` for `-`. */
function alikeName(text: string, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const a = text.charCodeAt(at + i);
    const b = name.charCodeAt(i);
    if (a !== b && lower(a) !== lower(b) && !(isHyphen(a) && isHyphen(b))) return false;
  }
  return true;
}

function isHyphen(code: number): boolean {
  return code === 45 || code === 95;
}

/**
 * The text between two offsets without the white space around it: SP and HTAB, nothing else (RFC 9110 §5.6.3).
 * `String.prototype.trim` would also take 0xA0, which may be the last octet of a letter in UTF-8.
 */
export function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

function lower(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code;
}

/** RFC 9110 §5.6.2: a token, the only thing a field name may be. */
export function validName(name: string): boolean {
  if (name.length === 0) return false;
  for (let i = 0; i < name.length; i++) {
    if (!isTokenCode(name.charCodeAt(i))) return false;
  }
  return true;
}

/** RFC 9110 §5.5: visible characters, space, tab and obs-text; no CR, LF, NUL or other control. */
export function validValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 32 && code !== 9) || code === 127 || code > 255) return false;
  }
  return true;
}

/** 1 for each octet that may stand in a token (RFC 9110 §5.6.2). */
export const tokenTable: Uint8Array = (() => {
  const table = new Uint8Array(256);
  const allowed = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (let i = 0; i < allowed.length; i++) table[allowed.charCodeAt(i)] = 1;
  return table;
})();

export function isTokenCode(code: number): boolean {
  return code < 256 && tokenTable[code] === 1;
}
