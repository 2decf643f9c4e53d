/** One message as a parser read it; texts are Latin-1. */
export interface Message {
  /** Method, target and version; or status, reason and version. */
  readonly start: readonly string[];
  fields: Array<[string, string]>;
  body: string;
  trailers: Array<[string, string]>;
  complete: boolean;
}

/** What a parser made of an input. */
export interface Reading {
  readonly messages: Message[];
  /** Why it refused the input, if it did. */
  rejected: string | null;
  /** The connection is not read on after the last message. */
  closed?: boolean;
}
