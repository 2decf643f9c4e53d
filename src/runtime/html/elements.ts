import { StringIndexOf, StringToLowerCase } from "../web/primordials.ts";
import type { Attribute, TextMode, Token } from "./tokenizer.ts";

export const htmlNamespace = "http://www.w3.org/1999/xhtml";
const svgNamespace = "http://www.w3.org/2000/svg";
const mathNamespace = "http://www.w3.org/1998/Math/MathML";

interface Placed {
  readonly name: string;
  readonly namespace: string;
  readonly attributes: readonly Attribute[];
}

function isIn(list: string, name: string): boolean {
  return StringIndexOf(name, " ") < 0 && StringIndexOf(list, ` ${name} `) >= 0;
}

const voids =
  " area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr ";

/** HTML §13.1.2, with the obsolete ones. */
export function isVoid(name: string): boolean {
  return isIn(voids, name);
}

/** What the tree construction stage tells the tokenizer (HTML §13.2.6.4), for a client that runs scripts. */
export function textMode(name: string): TextMode {
  switch (name) {
    case "textarea":
    case "title":
      return "rcdata";
    case "style":
    case "xmp":
    case "iframe":
    case "noembed":
    case "noframes":
    case "noscript":
      return "rawtext";
    case "script":
      return "script";
    case "plaintext":
      return "plaintext";
    default:
      return "data";
  }
}

/** HTML elements that cannot stand in SVG and MathML, and end them (HTML §13.2.6.5). */
const breakouts =
  " b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta " +
  "nobr ol p pre ruby s small span strong strike sub sup table tt u ul var ";

/** The start tag ends the SVG or MathML that it stands in, up to an integration point. */
export function breaksOut(name: string, parent: Placed | null): boolean {
  return parent !== null && childNamespace(parent) !== htmlNamespace && isIn(breakouts, name);
}

/** @param parent null in the document. */
export function elementNamespace(token: Token, parent: Placed | null): string {
  const around = parent === null ? htmlNamespace : childNamespace(parent);
  if (around === htmlNamespace) {
    if (token.name === "svg") return svgNamespace;
    return token.name === "math" ? mathNamespace : htmlNamespace;
  }
  return around;
}

/** The namespace of what stands in an element: HTML again at integration points (HTML §13.2.6). */
export function childNamespace(element: Placed): string {
  const { name, namespace } = element;
  if (namespace === svgNamespace) {
    return isIn(" foreignobject desc title ", name) ? htmlNamespace : svgNamespace;
  }
  if (namespace === mathNamespace) {
    if (isIn(" mi mo mn ms mtext ", name)) return htmlNamespace;
    if (name === "annotation-xml" && isHtmlAnnotation(element.attributes)) return htmlNamespace;
  }
  return namespace;
}

function isHtmlAnnotation(attributes: readonly Attribute[]): boolean {
  for (let i = 0; i < attributes.length; i++) {
    const { name, value } = attributes[i] as Attribute;
    if (name === "encoding") return isIn(" text/html application/xhtml+xml ", StringToLowerCase(value));
  }
  return false;
}
