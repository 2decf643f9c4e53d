import { StringToLowerCase } from "../web/primordials.ts";
import type { Attribute } from "./tokenizer.ts";

/** What is to stand before, behind and in place of a piece of markup. */
export class Change {
  before = "";
  after = "";
  replacement = "";
  removed = false;
  /** Whoever holds the piece may use it only while a handler runs. */
  alive = true;

  check(): void {
    if (!this.alive) throw new TypeError("cannot use this content: it is valid only while its handler runs");
  }

  replace(content: string): void {
    this.removed = true;
    this.replacement = content;
  }

  /** @param own the markup, if it stays. */
  render(own: string): string {
    return this.before + (this.removed ? this.replacement : own) + this.after;
  }
}

/** A comment, and what its text is now. */
export class CommentChange extends Change {
  text: string;

  constructor(text: string) {
    super();
    this.text = text;
  }
}

/** A piece of text. */
export class TextChange extends Change {
  readonly text: string;
  readonly last: boolean;

  constructor(text: string, last: boolean) {
    super();
    this.text = text;
    this.last = last;
  }
}

/** An end tag, and what its name is now. */
export class EndTagChange extends Change {
  name: string;

  constructor(name: string) {
    super();
    this.name = name;
  }
}

interface ChangedElement {
  readonly name: string;
  readonly namespace: string;
  readonly hasContent: boolean;
}

/** A start tag, with what is to become of its element's content and end tag. */
export class ElementChange extends Change {
  name: string;
  readonly namespace: string;
  readonly attributes: Attribute[];
  /** It has content and, usually, an end tag. */
  readonly hasContent: boolean;
  /** Its tag is no longer as it was written. */
  modified = false;
  renamed = false;
  removesContent = false;
  removesEnd = false;
  endBefore = "";
  endAfter = "";
  readonly endHandlers: unknown[] = [];

  constructor(of: ChangedElement, attributes: Attribute[]) {
    super();
    this.name = of.name;
    this.namespace = of.namespace;
    this.hasContent = of.hasContent;
    this.attributes = attributes;
  }

  attribute(name: string): Attribute | null {
    const key = StringToLowerCase(name);
    for (let i = 0; i < this.attributes.length; i++) {
      const attribute = this.attributes[i] as Attribute;
      if (attribute.name === key) return attribute;
    }
    return null;
  }

  removeContent(): void {
    if (!this.hasContent) return;
    this.after = "";
    this.endBefore = "";
    this.removesContent = true;
  }

  removeAll(): void {
    this.removed = true;
    this.replacement = "";
    this.removeContent();
    this.removesEnd = true;
  }
}
