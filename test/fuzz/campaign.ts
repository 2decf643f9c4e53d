import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { allowedTrailers } from "../../src/http/http1/trailer-fields.ts";
import { escaped, unescaped } from "../wire/escape.ts";
import { readCases } from "../wire/fixture-file.ts";
import { isAllowed } from "./differences.ts";
import { Llhttp } from "./llhttp.ts";
import { mutate } from "./mutator.ts";
import { endToEnd, readRequests, readResponse } from "./ours.ts";
import { Random } from "./random.ts";
import type { Message, Reading } from "./reading.ts";

export interface Tally {
  inputs: number;
  /** Messages that both parsers read whole, and read alike. */
  agreed: number;
  /** Inputs that we refused. */
  refused: number;
  /** Inputs that only we refused. */
  stricter: number;
}

type Side = "requests" | "responses";

/** Mutates the corpus, and reads each result with our parser and with llhttp. Throws at the first disagreement. */
export class Campaign {
  readonly tally: Tally = { inputs: 0, agreed: 0, refused: 0, stricter: 0 };
  readonly side: Side;
  readonly #seed: number;
  readonly #random: Random;
  readonly #corpus: readonly string[];
  /** What of it we accept. */
  readonly #valid: readonly string[];
  readonly #llhttp = new Llhttp();

  constructor(side: Side, seed: number) {
    this.side = side;
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#corpus = readCorpus(side);
    this.#valid = this.#corpus.filter(
      (text) => this.#read([Buffer.from(text, "latin1")], "GET").rejected === null,
    );
  }

  /** The corpus as it is, before any mutation. */
  async replay(): Promise<void> {
    for (const text of this.#corpus) await this.#try(text);
  }

  async run(inputs: number): Promise<void> {
    for (let i = 0; i < inputs; i++) {
      // Most fixtures are malformed already, and what is malformed twice tells less.
      const seeds = this.#random.below(4) === 0 ? this.#corpus : this.#valid;
      const text = mutate(this.#random.pick(seeds), this.#corpus, this.#random);
      await this.#try(text);
    }
  }

  async #try(text: string): Promise<void> {
    const method = this.#random.pick(["GET", "GET", "GET", "HEAD", "CONNECT"]);
    try {
      await this.#compare(Buffer.from(text, "latin1"), method);
    } catch (error) {
      const what = this.side === "requests" ? "requests" : `answer to ${method}`;
      throw new Error(
        `cannot agree on the ${what} of seed ${this.#seed}, input ${this.tally.inputs}:\n  ${escaped(text)}`,
        { cause: error },
      );
    }
    this.tally.inputs++;
  }

  async #compare(input: Buffer, method: string): Promise<void> {
    const ours = this.#read([input], method);
    assert.deepEqual(
      this.#read(this.#pieces(input), method),
      ours,
      "the split of the input makes no difference",
    );
    const theirs =
      this.side === "requests"
        ? await this.#llhttp.requests(input)
        : await this.#llhttp.response(input, method);
    if (ours.rejected !== null) {
      this.tally.refused++;
      if (theirs.rejected === null) this.tally.stricter++;
    }
    this.#agree(ours, theirs, method);
  }

  /** What we accept, they accept, and both read the same. */
  #agree(ours: Reading, theirs: Reading, method: string): void {
    for (const [index, message] of ours.messages.entries()) {
      const other = theirs.messages[index];
      if (other === undefined || (message.complete && !other.complete)) {
        if (isAllowed(theirs.rejected, message, other, theirs.messages[index - 1])) return;
        assert.fail(`we read message ${index}; they do not: ${theirs.rejected}`);
      }
      if (this.side === "requests") sameRequest(message, other);
      else sameResponse(message, other, method);
      if (message.complete) this.tally.agreed++;
      // node:http reads nothing of a connection after an offer to upgrade, nor after any answer to CONNECT.
      if (offersUpgrade(other) || (this.side === "responses" && method === "CONNECT")) return;
    }
    if (ours.rejected !== null || ours.closed === true) return;
    // An end without any final response is an error to node:http, and to our parser's driver.
    if (this.side === "responses" && theirs.rejected === "ECONNRESET") return;
    assert.equal(theirs.rejected, null, "they refuse what we read");
  }

  #read(pieces: readonly Uint8Array[], method: string): Reading {
    return this.side === "requests" ? readRequests(pieces) : readResponse(pieces, method);
  }

  #pieces(input: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (let at = 0; at < input.length; ) {
      const size = 1 + this.#random.below(this.#random.below(2) === 0 ? 3 : 60);
      pieces.push(input.subarray(at, at + size));
      at += size;
    }
    return pieces;
  }
}

function sameRequest(ours: Message, theirs: Message): void {
  const [method, form, authority, target, version] = ours.start;
  const [theirMethod, url = "", theirVersion] = theirs.start;
  assert.equal(method, theirMethod);
  assert.equal(version, theirVersion);
  if (form === "authority") {
    assert.equal(authority, url);
  } else if (form === "absolute") {
    const rest = url.replace(/^https?:\/\/[^/?]*/i, "");
    assert.notEqual(rest, url);
    assert.equal(url.slice(url.indexOf("://") + 3, url.length - rest.length), authority);
    if (rest === "") assert.equal(target, method === "OPTIONS" ? "*" : "/");
    else assert.equal(target, rest.startsWith("?") ? `/${rest}` : rest);
  } else {
    assert.equal(target, url);
    const host = theirs.fields.find(([name]) => name.toLowerCase() === "host");
    assert.equal(authority, host === undefined ? "" : host[1]);
  }
  sameContent(ours, theirs);
}

function sameResponse(ours: Message, theirs: Message, method: string): void {
  assert.deepEqual(ours.start, theirs.start);
  if (method === "CONNECT") assert.deepEqual(ours.fields, endToEnd(theirs).fields);
  else sameContent(ours, theirs);
}

function offersUpgrade(message: Message): boolean {
  return message.fields.some(([name]) => name.toLowerCase() === "upgrade");
}

function sameContent(ours: Message, theirs: Message): void {
  const expected = endToEnd(theirs);
  assert.deepEqual(ours.fields, expected.fields);
  if (!ours.complete) {
    assert.ok(
      ours.body.startsWith(theirs.body) || theirs.body.startsWith(ours.body),
      "the bodies begin alike",
    );
    return;
  }
  assert.equal(ours.body, theirs.body);
  const trailers = allowedTrailers(HeaderBlock.from(expected.trailers).text);
  assert.deepEqual(ours.trailers, [...new HeaderBlock(trailers)]);
}

/** The corpus of its own, and every input of the wire fixtures. */
function readCorpus(side: Side): string[] {
  const texts: string[] = [];
  for (const line of readFileSync(new URL(`corpus/${side}.txt`, import.meta.url), "utf8").split("\n")) {
    if (line !== "" && !line.startsWith("#")) texts.push(unescaped(line));
  }
  const fixtures = new URL(`../wire/${side}/`, import.meta.url);
  for (const file of readdirSync(fixtures).sort()) {
    for (const { input } of readCases(new URL(file, fixtures))) {
      if (input.length < 1_000) texts.push(input.toString("latin1"));
    }
  }
  return texts;
}
