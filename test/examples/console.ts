/** A command of a README with the output that it promises. */
export interface Claim {
  readonly command: string;
  /** `…` stands for any text, also over several lines. */
  readonly output: string;
}

/**
 * The commands of a Markdown file's blocks that are marked for CI: those fenced as `console ci`. A line that begins with
 * `$ ` is a command, and what follows is its output.
 */
export function readClaims(markdown: string): Claim[] {
  const claims: Claim[] = [];
  for (const [, block = ""] of markdown.matchAll(/^```console ci\n(.*?)^```$/gms)) {
    for (const part of block.split(/^\$ /m).slice(1)) {
      const lineEnd = part.indexOf("\n");
      claims.push({ command: part.slice(0, lineEnd), output: part.slice(lineEnd + 1) });
    }
  }
  return claims;
}

/** What a claim's output has to match, but for line breaks at its end. */
export function outputPattern(output: string): RegExp {
  const literal = output
    .trimEnd()
    .split("…")
    .map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${literal.join(".*?")}$`, "s");
}
