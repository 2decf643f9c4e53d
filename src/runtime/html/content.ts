import { definePairIterator, entries, type PairSource } from "../web/pair-iterator.ts";
import { ArrayPush, ArraySplice, RegExpExec, StringIndexOf, StringToLowerCase } from "../web/primordials.ts";
import {
  defineInterface,
  illegalConstructor,
  internal,
  quote,
  requireArguments,
  toDictionary,
} from "../web/webidl.ts";
import type { Change, CommentChange, ElementChange, EndTagChange, TextChange } from "./changes.ts";
import type { Attribute } from "./tokenizer.ts";

interface ContentOptions {
  html?: boolean;
}

/** `content` as markup; without `{ html: true }` it is text. */
function toMarkup(given: number, content: unknown, options: unknown, what: string): string {
  requireArguments(given, 1, what);
  const text = `${content as string}`;
  const dictionary = toDictionary(options, "options");
  if (dictionary !== null && !!dictionary.html) return text;
  let result = "";
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string;
    if (character === "<") result += "&lt;";
    else if (character === ">") result += "&gt;";
    else if (character === "&") result += "&amp;";
    else result += character;
  }
  return result;
}

const attributeName = /^[^\s\0"'<>/=]+$/u;
const tagPattern = /^[a-zA-Z][^\s\0/>]*$/u;

function toTagName(value: unknown): string {
  const name = `${value as string}`;
  if (RegExpExec(tagPattern, name) === null) throw new TypeError(`cannot name a tag ${quote(name)}`);
  return name;
}

class AttributePairs implements PairSource {
  readonly #attributes: readonly Attribute[];

  constructor(attributes: readonly Attribute[]) {
    this.#attributes = attributes;
  }

  count(): number {
    return this.#attributes.length;
  }

  key(index: number): string {
    return (this.#attributes[index] as Attribute).name;
  }

  value(index: number): string {
    return (this.#attributes[index] as Attribute).value;
  }
}

const iterate = definePairIterator("Attributes");

/** As `internal` demands of classes that only the runtime makes. */
function guard(key: unknown): void {
  if (key !== internal) throw illegalConstructor();
}

export class Element {
  readonly #change: ElementChange;

  constructor(key: unknown, change: ElementChange) {
    guard(key);
    this.#change = change;
  }

  get #live(): ElementChange {
    this.#change.check();
    return this.#change;
  }

  get tagName(): string {
    return this.#live.name;
  }

  set tagName(value: string) {
    const change = this.#live;
    change.name = toTagName(value);
    change.modified = true;
    change.renamed = true;
  }

  get attributes(): IterableIterator<[string, string]> {
    return iterate(new AttributePairs(this.#live.attributes), entries);
  }

  get removed(): boolean {
    return this.#live.removed;
  }

  get namespaceURI(): string {
    return this.#live.namespace;
  }

  getAttribute(name: string): string | null {
    requireArguments(arguments.length, 1, "Element.getAttribute");
    return this.#live.attribute(`${name}`)?.value ?? null;
  }

  hasAttribute(name: string): boolean {
    requireArguments(arguments.length, 1, "Element.hasAttribute");
    return this.#live.attribute(`${name}`) !== null;
  }

  setAttribute(name: string, value: string): this {
    requireArguments(arguments.length, 2, "Element.setAttribute");
    const change = this.#live;
    const key = `${name}`;
    const text = `${value}`;
    if (RegExpExec(attributeName, key) === null)
      throw new TypeError(`cannot name an attribute ${quote(key)}`);
    change.modified = true;
    const found = change.attribute(key);
    if (found === null) ArrayPush(change.attributes, { name: StringToLowerCase(key), value: text, raw: "" });
    else {
      found.value = text;
      found.raw = "";
    }
    return this;
  }

  removeAttribute(name: string): this {
    requireArguments(arguments.length, 1, "Element.removeAttribute");
    const change = this.#live;
    const key = StringToLowerCase(`${name}`);
    for (let i = change.attributes.length - 1; i >= 0; i--) {
      if ((change.attributes[i] as Attribute).name !== key) continue;
      ArraySplice(change.attributes, i, 1);
      change.modified = true;
    }
    return this;
  }

  before(content: string, options?: ContentOptions): this {
    this.#live.before += toMarkup(arguments.length, content, options, "Element.before");
    return this;
  }

  after(content: string, options?: ContentOptions): this {
    const change = this.#live;
    const markup = toMarkup(arguments.length, content, options, "Element.after");
    if (change.hasContent) change.endAfter = markup + change.endAfter;
    else change.after = markup + change.after;
    return this;
  }

  prepend(content: string, options?: ContentOptions): this {
    const change = this.#live;
    const markup = toMarkup(arguments.length, content, options, "Element.prepend");
    if (change.hasContent) change.after = markup + change.after;
    return this;
  }

  append(content: string, options?: ContentOptions): this {
    const change = this.#live;
    const markup = toMarkup(arguments.length, content, options, "Element.append");
    if (change.hasContent) change.endBefore += markup;
    return this;
  }

  setInnerContent(content: string, options?: ContentOptions): this {
    const change = this.#live;
    const markup = toMarkup(arguments.length, content, options, "Element.setInnerContent");
    if (change.hasContent) {
      change.removeContent();
      change.after = markup;
    }
    return this;
  }

  replace(content: string, options?: ContentOptions): this {
    const change = this.#live;
    const markup = toMarkup(arguments.length, content, options, "Element.replace");
    change.removeAll();
    change.replacement = markup;
    return this;
  }

  remove(): this {
    this.#live.removeAll();
    return this;
  }

  removeAndKeepContent(): this {
    const change = this.#live;
    change.removed = true;
    change.removesEnd = true;
    return this;
  }

  onEndTag(handler: (endTag: EndTag) => unknown): void {
    const change = this.#live;
    if (typeof handler !== "function")
      throw new TypeError("cannot listen for the end tag: handler is not a function");
    if (!change.hasContent) throw new TypeError("cannot listen for the end tag: the element has none");
    ArrayPush(change.endHandlers, handler);
  }
}

/** The members that all pieces have which stand for themselves. */
function changeable(what: string, change: Change, given: number, content: unknown, options: unknown): string {
  change.check();
  return toMarkup(given, content, options, what);
}

export class EndTag {
  readonly #change: EndTagChange;

  constructor(key: unknown, change: EndTagChange) {
    guard(key);
    this.#change = change;
  }

  get name(): string {
    this.#change.check();
    return this.#change.name;
  }

  set name(value: string) {
    this.#change.check();
    this.#change.name = toTagName(value);
  }

  before(content: string, options?: ContentOptions): this {
    this.#change.before += changeable("EndTag.before", this.#change, arguments.length, content, options);
    return this;
  }

  after(content: string, options?: ContentOptions): this {
    const change = this.#change;
    change.after = changeable("EndTag.after", change, arguments.length, content, options) + change.after;
    return this;
  }

  remove(): this {
    this.#change.check();
    this.#change.replace("");
    return this;
  }
}

export class Text {
  readonly #change: TextChange;

  constructor(key: unknown, change: TextChange) {
    guard(key);
    this.#change = change;
  }

  get text(): string {
    this.#change.check();
    return this.#change.text;
  }

  get lastInTextNode(): boolean {
    this.#change.check();
    return this.#change.last;
  }

  get removed(): boolean {
    this.#change.check();
    return this.#change.removed;
  }

  before(content: string, options?: ContentOptions): this {
    this.#change.before += changeable("Text.before", this.#change, arguments.length, content, options);
    return this;
  }

  after(content: string, options?: ContentOptions): this {
    const change = this.#change;
    change.after = changeable("Text.after", change, arguments.length, content, options) + change.after;
    return this;
  }

  replace(content: string, options?: ContentOptions): this {
    this.#change.replace(changeable("Text.replace", this.#change, arguments.length, content, options));
    return this;
  }

  remove(): this {
    this.#change.check();
    this.#change.replace("");
    return this;
  }
}

export class Comment {
  readonly #change: CommentChange;

  constructor(key: unknown, change: CommentChange) {
    guard(key);
    this.#change = change;
  }

  get text(): string {
    this.#change.check();
    return this.#change.text;
  }

  set text(value: string) {
    this.#change.check();
    const text = `${value}`;
    if (StringIndexOf(text, "-->") >= 0)
      throw new TypeError("cannot set the comment's text: it would end the comment");
    this.#change.text = text;
  }

  get removed(): boolean {
    this.#change.check();
    return this.#change.removed;
  }

  before(content: string, options?: ContentOptions): this {
    this.#change.before += changeable("Comment.before", this.#change, arguments.length, content, options);
    return this;
  }

  after(content: string, options?: ContentOptions): this {
    const change = this.#change;
    change.after = changeable("Comment.after", change, arguments.length, content, options) + change.after;
    return this;
  }

  replace(content: string, options?: ContentOptions): this {
    this.#change.replace(changeable("Comment.replace", this.#change, arguments.length, content, options));
    return this;
  }

  remove(): this {
    this.#change.check();
    this.#change.replace("");
    return this;
  }
}

export interface DoctypeFields {
  readonly name: string | null;
  readonly publicId: string | null;
  readonly systemId: string | null;
}

export class Doctype {
  readonly #change: Change;
  readonly #fields: DoctypeFields;

  constructor(key: unknown, change: Change, fields: DoctypeFields) {
    guard(key);
    this.#change = change;
    this.#fields = fields;
  }

  get name(): string | null {
    this.#change.check();
    return this.#fields.name;
  }

  get publicId(): string | null {
    this.#change.check();
    return this.#fields.publicId;
  }

  get systemId(): string | null {
    this.#change.check();
    return this.#fields.systemId;
  }
}

export class DocumentEnd {
  readonly #change: Change;

  constructor(key: unknown, change: Change) {
    guard(key);
    this.#change = change;
  }

  append(content: string, options?: ContentOptions): this {
    this.#change.before += changeable("DocumentEnd.append", this.#change, arguments.length, content, options);
    return this;
  }
}

defineInterface(Element, "Element");
defineInterface(EndTag, "EndTag");
defineInterface(Text, "Text");
defineInterface(Comment, "Comment");
defineInterface(Doctype, "Doctype");
defineInterface(DocumentEnd, "DocumentEnd");
