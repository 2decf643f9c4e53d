import {
  ArrayPush,
  MapGet,
  MapNative,
  MapSet,
  ReflectApply,
  RegExpExec,
  StringSlice,
  StringToLowerCase,
} from "../web/primordials.ts";
import { internal, isObject } from "../web/webidl.ts";
import { Change, CommentChange, ElementChange, EndTagChange, TextChange } from "./changes.ts";
import { Comment, Doctype, type DoctypeFields, DocumentEnd, Element, EndTag, Text } from "./content.ts";
import { breaksOut, childNamespace, elementNamespace, htmlNamespace, isVoid, textMode } from "./elements.ts";
import type { Selectable, Selector } from "./selectors.ts";
import { type Attribute, type Token, Tokenizer } from "./tokenizer.ts";

type Handler = (content: unknown) => unknown;

/** What one call of `on` or `onDocument` gave. */
export interface Registration {
  /** Null for `onDocument`. */
  readonly selector: Selector | null;
  readonly self: object;
  readonly element: Handler | null;
  readonly comments: Handler | null;
  readonly text: Handler | null;
  readonly doctype: Handler | null;
  readonly end: Handler | null;
}

/** An element whose end tag has not come. */
class OpenElement implements Selectable {
  readonly name: string;
  readonly attributes: readonly Attribute[];
  readonly parent: OpenElement | null;
  readonly index: number;
  readonly typeIndex: number;
  readonly namespace: string;
  /** It has content and, usually, an end tag. */
  readonly hasContent: boolean;
  /** Null when no handler saw it. */
  change: ElementChange | null = null;
  /** Which registrations it matched: their handlers see its text and comments. */
  readonly matched: number[] = [];

  constructor(token: Token, siblings: Siblings, parent: OpenElement | null) {
    this.name = token.name;
    this.attributes = token.attributes;
    this.parent = parent;
    this.namespace = elementNamespace(token, parent);
    this.hasContent = this.namespace === htmlNamespace ? !isVoid(token.name) : !token.selfClosing;
    this.index = ++siblings.count;
    this.typeIndex = (MapGet(siblings.types, token.name) ?? 0) + 1;
    MapSet(siblings.types, token.name, this.typeIndex);
  }
}

/** The children of one element so far. */
class Siblings {
  count = 0;
  readonly types = new MapNative<string, number>();
}

/** Rewrites one document that comes in pieces. Its methods are called one after the other. */
export class Rewriter {
  readonly #registrations: readonly Registration[];
  /** For each registration, how many open elements it matched. */
  readonly #active: number[] = [];
  readonly #tokenizer = new Tokenizer();
  #top: OpenElement | null = null;
  /** The children of the document and of each open element. */
  readonly #siblings: Siblings[] = [new Siblings()];
  #output = "";
  /** How many open elements lose their content. */
  #hidden = 0;
  #inText = false;

  /** @param registrations in the order in which their handlers are called. */
  constructor(registrations: readonly Registration[]) {
    this.#registrations = registrations;
    for (let i = 0; i < registrations.length; i++) {
      ArrayPush(this.#active, (registrations[i] as Registration).selector === null ? 1 : 0);
    }
  }

  /** @returns what can be sent on. @throws what a handler throws; the rewriter is of no use then. */
  async write(text: string): Promise<string> {
    this.#tokenizer.write(text);
    await this.#run();
    return this.#take();
  }

  async end(): Promise<string> {
    this.#tokenizer.end();
    await this.#run();
    await this.#endText();
    this.#closeUntil(null);
    const change = new Change();
    for (let i = 0; i < this.#registrations.length; i++) {
      const { end, self } = this.#registrations[i] as Registration;
      if (end !== null) await call(end, self, new DocumentEnd(internal, change));
    }
    change.alive = false;
    this.#output += change.before;
    return this.#take();
  }

  #take(): string {
    const output = this.#output;
    this.#output = "";
    return output;
  }

  #emit(markup: string): void {
    if (this.#hidden === 0) this.#output += markup;
  }

  /** Tokens that no handler looks at are passed on without waiting for anything. */
  async #run(): Promise<void> {
    for (;;) {
      this.#tokenizer.allowCdata = this.#top !== null && childNamespace(this.#top) !== htmlNamespace;
      const token = this.#tokenizer.next();
      if (token === null) return;
      if (token.kind === "text") {
        if (this.#readsText()) await this.#text(token.raw, false);
        else this.#emit(token.raw);
        this.#inText = true;
        continue;
      }
      const ended = this.#endText();
      if (ended !== undefined) await ended;
      if (token.kind === "start") {
        const open = this.#open(token);
        const change = this.#readsElement(open) ? await this.#start(open, token) : null;
        this.#enter(open, token, change);
      } else if (token.kind === "end") {
        const change = this.#leave(token);
        if (change !== null) await this.#endTag(change, token);
      } else if (token.kind === "comment") {
        await this.#comment(token);
      } else if (token.kind === "doctype") {
        await this.#doctype(token);
      } else {
        this.#emit(token.raw);
      }
    }
  }

  /** The last piece of a text is empty, so that it is known as soon as something else comes. */
  #endText(): Promise<void> | undefined {
    if (!this.#inText) return undefined;
    this.#inText = false;
    return this.#readsText() ? this.#text("", true) : undefined;
  }

  #readsText(): boolean {
    for (let i = 0; i < this.#registrations.length; i++) {
      if ((this.#registrations[i] as Registration).text !== null && this.#active[i] !== 0) return true;
    }
    return false;
  }

  #readsElement(open: OpenElement): boolean {
    for (let i = 0; i < open.matched.length; i++) {
      if ((this.#registrations[open.matched[i] as number] as Registration).element !== null) return true;
    }
    return false;
  }

  async #text(text: string, last: boolean): Promise<void> {
    const change = new TextChange(text, last);
    for (let i = 0; i < this.#registrations.length; i++) {
      const { text: handler, self } = this.#registrations[i] as Registration;
      if (handler !== null && this.#active[i] !== 0) await call(handler, self, new Text(internal, change));
    }
    change.alive = false;
    this.#emit(change.render(text));
  }

  async #comment(token: Token): Promise<void> {
    let change: CommentChange | null = null;
    for (let i = 0; i < this.#registrations.length; i++) {
      const { comments, self } = this.#registrations[i] as Registration;
      if (comments === null || this.#active[i] === 0) continue;
      change ??= new CommentChange(token.name);
      await call(comments, self, new Comment(internal, change));
    }
    if (change === null) {
      this.#emit(token.raw);
      return;
    }
    change.alive = false;
    this.#emit(change.render(change.text === token.name ? token.raw : `<!--${change.text}-->`));
  }

  async #doctype(token: Token): Promise<void> {
    const change = new Change();
    for (let i = 0; i < this.#registrations.length; i++) {
      const { doctype, self } = this.#registrations[i] as Registration;
      if (doctype !== null)
        await call(doctype, self, new Doctype(internal, change, doctypeFields(token.name)));
    }
    change.alive = false;
    this.#emit(token.raw);
  }

  /** The element that `token` begins, and which registrations it matches. */
  #open(token: Token): OpenElement {
    let around = this.#top;
    while (around !== null && breaksOut(token.name, around)) around = around.parent;
    this.#closeUntil(around);
    const siblings = this.#siblings[this.#siblings.length - 1] as Siblings;
    const open = new OpenElement(token, siblings, this.#top);
    for (let i = 0; i < this.#registrations.length; i++) {
      const { selector } = this.#registrations[i] as Registration;
      if (selector?.matches(open)) ArrayPush(open.matched, i);
    }
    return open;
  }

  async #start(open: OpenElement, token: Token): Promise<ElementChange> {
    const change = new ElementChange(open, copyOf(token.attributes));
    for (let i = 0; i < open.matched.length; i++) {
      const { element, self } = this.#registrations[open.matched[i] as number] as Registration;
      if (element !== null) await call(element, self, new Element(internal, change));
    }
    change.alive = false;
    return change;
  }

  /** @param change null when no handler saw the element. */
  #enter(open: OpenElement, token: Token, change: ElementChange | null): void {
    if (change === null) this.#emit(token.raw);
    else this.#emit(change.render(change.modified ? startTag(change, token.selfClosing) : token.raw));
    if (!open.hasContent) return;
    open.change = change;
    this.#top = open;
    ArrayPush(this.#siblings, new Siblings());
    if (change?.removesContent) this.#hidden++;
    for (let i = 0; i < open.matched.length; i++) {
      const at = open.matched[i] as number;
      this.#active[at] = (this.#active[at] as number) + 1;
    }
    const mode = open.namespace === htmlNamespace ? textMode(token.name) : "data";
    if (mode !== "data") this.#tokenizer.enter(mode, token.name);
  }

  /** Ends the element that `token` ends. @returns what is to become of the tag; null when it was passed on. */
  #leave(token: Token): ElementChange | null {
    let open = this.#top;
    while (open !== null && open.name !== token.name) open = open.parent;
    if (open !== null) {
      this.#closeUntil(open);
      this.#pop(open);
      if (open.change !== null) return open.change;
    }
    this.#emit(token.raw);
    return null;
  }

  async #endTag(change: ElementChange, token: Token): Promise<void> {
    const end = new EndTagChange(change.renamed ? change.name : token.name);
    end.before = change.endBefore;
    end.after = change.endAfter;
    end.removed = change.removesEnd;
    const original = end.name;
    for (let i = 0; i < change.endHandlers.length; i++) {
      await call(change.endHandlers[i] as Handler, undefined, new EndTag(internal, end));
    }
    end.alive = false;
    const same = !change.renamed && end.name === original;
    this.#emit(end.render(same ? token.raw : `</${end.name}>`));
  }

  /** Ends the elements within `open` that have no end tag of their own; what was to stand at those stands here. */
  #closeUntil(open: OpenElement | null): void {
    while (this.#top !== open) {
      const inner = this.#top as OpenElement;
      this.#pop(inner);
      if (inner.change !== null) this.#emit(inner.change.endBefore + inner.change.endAfter);
    }
  }

  #pop(open: OpenElement): void {
    this.#top = open.parent;
    this.#siblings.length--;
    if (open.change?.removesContent) this.#hidden--;
    for (let i = 0; i < open.matched.length; i++) {
      const at = open.matched[i] as number;
      this.#active[at] = (this.#active[at] as number) - 1;
    }
  }
}

/** Waits for handlers that are asynchronous only. */
async function call(handler: Handler, self: unknown, content: unknown): Promise<void> {
  const result = ReflectApply(handler, self, [content]) as unknown;
  if (isObject(result)) await result;
}

function copyOf(attributes: readonly Attribute[]): Attribute[] {
  const copy: Attribute[] = [];
  for (let i = 0; i < attributes.length; i++) {
    const { name, value, raw } = attributes[i] as Attribute;
    ArrayPush(copy, { name, value, raw });
  }
  return copy;
}

function startTag(change: ElementChange, selfClosing: boolean): string {
  let tag = `<${change.name}`;
  for (let i = 0; i < change.attributes.length; i++) {
    const { name, value, raw } = change.attributes[i] as Attribute;
    tag += ` ${raw === "" ? `${name}="${escapeQuotes(value)}"` : raw}`;
  }
  return `${tag}${selfClosing ? " />" : ">"}`;
}

function escapeQuotes(value: string): string {
  let text = "";
  for (let i = 0; i < value.length; i++) text += value[i] === '"' ? "&quot;" : value[i];
  return text;
}

const doctypePattern =
  /^\s*([^\s]+)?(?:\s+(?:public\s*(?:"([^"]*)"|'([^']*)')\s*(?:"([^"]*)"|'([^']*)')?|system\s*(?:"([^"]*)"|'([^']*)')))?/i;

/** @param text between `<!doctype` and `>`. */
function doctypeFields(text: string): DoctypeFields {
  const found = RegExpExec(doctypePattern, text);
  const name = found?.[1];
  return {
    name: name === undefined ? null : StringToLowerCase(StringSlice(name, 0)),
    publicId: found?.[2] ?? found?.[3] ?? null,
    systemId: found?.[4] ?? found?.[5] ?? found?.[6] ?? found?.[7] ?? null,
  };
}
