import type { Node } from "acorn";
import { shiftColumns } from "./shifted-map.ts";

/**
 * The functions of src/runtime/web/async-context.ts that code made by `keepAsyncContext` calls. They stand in the code
 * by these names.
 */
export const asyncHelpers = ["$asyncResume", "$asyncKeep", "$asyncFrame", "$asyncCaught"] as const;

/** Code with its source map, as JSON text, or empty. */
export interface MappedCode {
  readonly code: string;
  readonly sourceMap: string;
}

/** A function of the code, or the module itself. */
interface Scope {
  /** Where the variable that keeps the frame is declared, once something is awaited. */
  readonly declaration: Insertion;
  readonly declared: string;
  /** The closing counterpart, for an arrow function without a block. */
  readonly closing: Insertion | null;
  /** `try` blocks of this function that the walk is in. */
  readonly tries: Try[];
  /** What it returns becomes its promise's result, so that a thenable is asked for its own. */
  readonly resolves: boolean;
}

interface Try {
  awaits: boolean;
}

interface Insertion {
  readonly at: number;
  text: string;
}

type AnyNode = Node & Record<string, unknown>;

const variable = "$asyncAt";
const restore = `${variable}=$asyncCaught(${variable});`;

/** Expressions whose value has no `then` that anybody wrote. */
const plain: ReadonlySet<string> = new Set([
  "ArrayExpression",
  "ArrowFunctionExpression",
  "AwaitExpression",
  "BinaryExpression",
  "ClassExpression",
  "FunctionExpression",
  "Literal",
  "TemplateLiteral",
  "UnaryExpression",
  "UpdateExpression",
]);

/**
 * Has every `await` of the code go on in the async context frame in which it began to wait: V8 tells isolated-vm
 * nothing of promises, so it is the code that has to. `await x` becomes
 *
 *     $asyncResume(await $asyncKeep(x, $asyncAt = $asyncFrame()), $asyncAt, $asyncAt = 0)
 *
 * with one variable in each function that awaits: the frame is read after `x`, which may enter another one, and each
 * `catch` and `finally` behind an `await` that failed restores it. `return x` becomes `return $asyncKeep((x), $asyncFrame())`,
 * for the sake of thenables. Functions stay what they are, so that they cost what
 * native ones do and their stacks are whole. Nothing but columns moves.
 *
 * @param input without `for await` and `await using`, which esbuild turns into plain awaits.
 * @param prelude stands before the code, on its first line.
 * @throws SyntaxError where the code is not valid; esbuild gives only code that is.
 */
export async function keepAsyncContext(
  input: MappedCode,
  prelude: string,
  sourceType: "module" | "script",
): Promise<MappedCode> {
  const { parse } = await import("acorn");
  const arrows: number[] = [];
  const program = parse(input.code, {
    ecmaVersion: "latest",
    sourceType,
    onToken(token) {
      if (token.type.label === "=>") arrows.push(token.end);
    },
  });
  const walk = new Walk(input.code, arrows);
  const insertions = walk.program(program as unknown as AnyNode, prelude);
  if (!walk.found) return input;
  return {
    code: insert(input.code, insertions),
    sourceMap: shiftColumns(input.sourceMap, input.code, insertions),
  };
}

class Walk {
  readonly #code: string;
  /** Where each `=>` ends, in order. */
  readonly #arrows: readonly number[];
  readonly #insertions: Insertion[] = [];
  found = false;

  constructor(code: string, arrows: readonly number[]) {
    this.#code = code;
    this.#arrows = arrows;
  }

  /** Insertions in the order of their places; those at one place in the order in which they stand there. */
  program(program: AnyNode, prelude: string): Insertion[] {
    this.#add(0, prelude);
    const declaration = this.#add(0, "");
    this.#children(program, {
      declaration,
      declared: `let ${variable}=0;`,
      closing: null,
      tries: [],
      resolves: false,
    });
    return this.#insertions
      .filter(({ text }) => text !== "")
      .map((insertion, index) => ({ insertion, index }))
      .sort((a, b) => a.insertion.at - b.insertion.at || a.index - b.index)
      .map(({ insertion }) => insertion);
  }

  #add(at: number, text: string): Insertion {
    const insertion = { at, text };
    this.#insertions.push(insertion);
    return insertion;
  }

  #visit(node: AnyNode, scope: Scope): void {
    switch (node.type) {
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        this.#function(node, scope);
        return;
      case "AwaitExpression":
        this.#await(node, scope);
        return;
      case "TryStatement":
        this.#try(node, scope);
        return;
      case "ReturnStatement":
        if (scope.resolves && node.argument !== null) this.#result(node.argument as AnyNode, scope);
        else this.#children(node, scope);
        return;
      default:
        this.#children(node, scope);
    }
  }

  #children(node: AnyNode, scope: Scope): void {
    for (const key in node) {
      if (key === "type" || key === "start" || key === "end") continue;
      const child = node[key];
      if (Array.isArray(child)) {
        for (const item of child) if (isNode(item)) this.#visit(item, scope);
      } else if (isNode(child)) this.#visit(child, scope);
    }
  }

  #function(node: AnyNode, outer: Scope): void {
    const body = node.body as AnyNode;
    // Parameters of an asynchronous function await nothing, so their functions are the only thing of interest in them.
    for (const parameter of node.params as AnyNode[]) this.#visit(parameter, outer);
    if (node.async !== true) {
      this.#visit(body, { ...outer, resolves: false });
      return;
    }
    const resolves = node.generator !== true;
    if (body.type === "BlockStatement") {
      const declaration = this.#add(this.#afterDirectives(body), "");
      this.#children(body, {
        declaration,
        declared: `let ${variable}=0;`,
        closing: null,
        tries: [],
        resolves,
      });
      return;
    }
    const declaration = this.#add(this.#arrowBefore(body.start), "");
    const closing = { at: node.end, text: "" };
    this.#result(body, { declaration, declared: `{let ${variable}=0;return(`, closing, tries: [], resolves });
    this.#insertions.push(closing);
  }

  #await(node: AnyNode, scope: Scope): void {
    this.found = true;
    scope.declaration.text = scope.declared;
    if (scope.closing !== null) scope.closing.text = ")}";
    for (const attempt of scope.tries) attempt.awaits = true;
    const argument = node.argument as AnyNode;
    this.#add(node.start, "$asyncResume(");
    // Parentheses around the argument belong to it.
    this.#add(node.start + "await".length, " $asyncKeep(");
    this.#visit(argument, scope);
    this.#add(node.end, `,${variable}=$asyncFrame()),${variable},${variable}=0)`);
  }

  /** What an asynchronous function gives. */
  #result(node: AnyNode, scope: Scope): void {
    if (plain.has(node.type)) {
      this.#visit(node, scope);
      return;
    }
    this.found = true;
    this.#add(node.start, "$asyncKeep((");
    this.#visit(node, scope);
    this.#add(node.end, "),$asyncFrame())");
  }

  #try(node: AnyNode, scope: Scope): void {
    const handler = node.handler as AnyNode | null;
    const finalizer = node.finalizer as AnyNode | null;
    const attempt: Try = { awaits: false };
    scope.tries.push(attempt);
    this.#visit(node.block as AnyNode, scope);
    if (finalizer === null) scope.tries.pop();
    if (handler !== null) {
      const body = handler.body as AnyNode;
      const restoring = this.#add(body.start + 1, attempt.awaits ? restore : "");
      if (restoring.text !== "") scope.declaration.text = scope.declared;
      this.#visit(handler, scope);
    }
    if (finalizer === null) return;
    scope.tries.pop();
    this.#add(finalizer.start + 1, attempt.awaits ? restore : "");
    this.#visit(finalizer, scope);
  }

  /** Where the first statement of a function may stand: `"use strict"` has to come first. */
  #afterDirectives(body: AnyNode): number {
    let at = body.start + 1;
    for (const statement of body.body as AnyNode[]) {
      if (typeof statement.directive !== "string") break;
      at = statement.end;
      if (this.#code[at - 1] !== ";") this.#add(at, ";");
    }
    return at;
  }

  #arrowBefore(at: number): number {
    let low = 0;
    let high = this.#arrows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#arrows[middle] ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    return this.#arrows[low - 1] ?? at;
  }
}

function isNode(value: unknown): value is AnyNode {
  return (
    typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string"
  );
}

function insert(code: string, insertions: readonly Insertion[]): string {
  const pieces: string[] = [];
  let from = 0;
  for (const { at, text } of insertions) {
    pieces.push(code.slice(from, at), text);
    from = at;
  }
  pieces.push(code.slice(from));
  return pieces.join("");
}
