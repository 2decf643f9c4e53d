/** Latin-1 text as it stands in a fixture: `\r \n \t \\ \xNN`, and everything else that is visible as itself. */
export function escaped(text: string): string {
  let result = "";
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (character === "\\") result += "\\\\";
    else if (character === "\r") result += "\\r";
    else if (character === "\n") result += "\\n";
    else if (character === "\t") result += "\\t";
    else if (code < 32 || code > 126) result += `\\x${code.toString(16).padStart(2, "0")}`;
    else result += character;
  }
  return result;
}

/** The inverse; besides, `{N*text}` stands for the text N times. */
export function unescaped(text: string): string {
  return text
    .replace(/\{(\d+)\*([^}]*)\}/g, (_, count: string, repeated: string) => repeated.repeat(Number(count)))
    .replace(/\\(?:x([0-9a-f]{2})|([rnt\\]))/g, (_, hex: string | undefined, letter: string) =>
      hex === undefined
        ? ({ r: "\r", n: "\n", t: "\t", "\\": "\\" }[letter] ?? "")
        : String.fromCharCode(Number.parseInt(hex, 16)),
    );
}
