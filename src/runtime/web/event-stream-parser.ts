import { StringCharCodeAt, StringIndexOf, StringSlice } from "./primordials.ts";
import { Utf8Decoder } from "./utf8.ts";

/** Takes what a stream of events says. */
export interface EventStreamSink {
  /** What the next connection is to say it has seen. */
  lastEventId(id: string): void;
  /** One event is complete. @param type "" for the usual one */
  message(type: string, data: string): void;
  /** The stream asks for another time between two connections. */
  retry(milliseconds: number): void;
}

/** HTML §9.2.6, interpreting an event stream, as its bytes come. */
export class EventStreamParser {
  readonly #sink: EventStreamSink;
  readonly #decoder = new Utf8Decoder(false);
  /** The beginning of a line whose end has not come. */
  #rest = "";
  #begun = false;
  /** The last piece ended in CR: a LF at the next one's beginning belongs to it. */
  #afterReturn = false;
  #type = "";
  #data = "";
  #hasData = false;
  #id: string;

  /** @param lastEventId of the connection before this one */
  constructor(sink: EventStreamSink, lastEventId: string) {
    this.#sink = sink;
    this.#id = lastEventId;
  }

  write(bytes: Uint8Array): void {
    let text = this.#decoder.decode(bytes, bytes.length, false);
    if (text === "") return;
    if (!this.#begun) {
      this.#begun = true;
      if (StringCharCodeAt(text, 0) === 0xfeff) text = StringSlice(text, 1);
    }
    if (this.#afterReturn && text !== "" && StringCharCodeAt(text, 0) === 10) text = StringSlice(text, 1);
    if (text !== "") this.#afterReturn = false;
    let from = 0;
    for (let i = 0; i < text.length; i++) {
      const code = StringCharCodeAt(text, i);
      if (code !== 10 && code !== 13) continue;
      this.#line(this.#rest + StringSlice(text, from, i));
      this.#rest = "";
      if (code === 13) {
        if (i + 1 === text.length) this.#afterReturn = true;
        else if (StringCharCodeAt(text, i + 1) === 10) i++;
      }
      from = i + 1;
    }
    this.#rest += StringSlice(text, from);
  }

  #line(line: string): void {
    if (line === "") {
      this.#dispatch();
      return;
    }
    const colon = StringIndexOf(line, ":");
    if (colon === 0) return;
    const field = colon < 0 ? line : StringSlice(line, 0, colon);
    const space = colon >= 0 && StringCharCodeAt(line, colon + 1) === 32;
    const value = colon < 0 ? "" : StringSlice(line, colon + (space ? 2 : 1));
    switch (field) {
      case "event":
        this.#type = value;
        return;
      case "data":
        this.#data = this.#hasData ? `${this.#data}\n${value}` : value;
        this.#hasData = true;
        return;
      case "id":
        if (StringIndexOf(value, "\0") < 0) this.#id = value;
        return;
      case "retry": {
        const time = digits(value);
        if (time >= 0) this.#sink.retry(time);
        return;
      }
    }
  }

  #dispatch(): void {
    const type = this.#type;
    const data = this.#data;
    const isEvent = this.#hasData;
    this.#type = "";
    this.#data = "";
    this.#hasData = false;
    this.#sink.lastEventId(this.#id);
    if (isEvent) this.#sink.message(type, data);
  }
}

/** The number that a text of ASCII digits stands for, else -1. */
function digits(text: string): number {
  if (text === "" || text.length > 9) return -1;
  for (let i = 0; i < text.length; i++) {
    const code = StringCharCodeAt(text, i);
    if (code < 48 || code > 57) return -1;
  }
  return +text;
}
