import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Diagnostic, sortDiagnostics, workerDiagnostic } from "../../src/config/diagnostic.ts";
import { formatDiagnostics } from "../../src/config/format.ts";

function diagnostic(file: string, line: number, column: number, lineText = "abcdef"): Diagnostic {
  return {
    severity: "error",
    message: "cannot",
    place: { file, line, column, length: 2, lineText },
    notes: [],
  };
}

describe("diagnostics as text", () => {
  test("have colours only when asked", () => {
    const colourful = formatDiagnostics([diagnostic("/a/b.yaml", 1, 3)], { colour: true, directory: "/a" });
    assert.ok(colourful.includes("\u001b[1;31merror:\u001b[0m"));
    const plain = formatDiagnostics([diagnostic("/a/b.yaml", 1, 3)], { colour: false, directory: "/a" });
    assert.equal(plain, "b.yaml:1:3: error: cannot\n   1 | abcdef\n     |   ^^\n");
  });

  test("name files outside the directory by their whole path", () => {
    const text = formatDiagnostics([diagnostic("/other/b.yaml", 1, 3)], { colour: false, directory: "/a" });
    assert.ok(text.startsWith("/other/b.yaml:1:3: error"));
  });

  test("cannot act on the terminal through a source line", () => {
    const text = formatDiagnostics([diagnostic("/a/b.yaml", 1, 3, "\u001b[2Jabc\u009b")], {
      colour: false,
      directory: "/a",
    });
    assert.ok(!text.includes("\u001b") && !text.includes("\u009b"));
  });

  test("without a place are one line", () => {
    const text = formatDiagnostics([{ severity: "warning", message: "look", place: null, notes: [] }], {
      colour: false,
    });
    assert.equal(text, "warning: look\n");
  });

  test("come in the order of files as they were read, then of lines and columns", () => {
    const sorted = sortDiagnostics(
      [
        diagnostic("/z", 1, 1),
        diagnostic("/b", 2, 5),
        diagnostic("/a", 9, 9),
        diagnostic("/b", 2, 1),
        diagnostic("/b", 1, 9),
        { severity: "error", message: "flag", place: null, notes: [] },
      ],
      ["/b", "/a"],
    );
    assert.deepEqual(
      sorted.map(({ place }) => (place === null ? "" : `${place.file} ${place.line}:${place.column}`)),
      ["", "/b 1:9", "/b 2:1", "/b 2:5", "/a 9:9", "/z 1:1"],
    );
  });

  test("show where a Worker does not compile", () => {
    const found = workerDiagnostic("hello", {
      severity: "error",
      file: "/a/w.ts",
      line: 3,
      column: 5,
      length: 0,
      text: 'cannot resolve "x": no such module',
      lineText: "let = 1;",
    });
    assert.equal(
      formatDiagnostics([found], { colour: false, directory: "/a" }),
      'w.ts:3:5: error: Worker "hello": cannot resolve "x": no such module\n   3 | let = 1;\n     |     ^\n',
    );
  });
});
