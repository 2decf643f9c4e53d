// Writes config/proxy.schema.json and docs/config.md from the zod schema in src/config/schema, which is the manual.
// `--check` writes nothing and fails when they are not current. Needs a Node.js that runs TypeScript.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { jsonSchema, variable } from "../src/config/schema/json-schema.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The files by path, with the text that they should have. */
export function render() {
  const schema = jsonSchema();
  return new Map([
    [join(root, "config", "proxy.schema.json"), `${JSON.stringify(schema, null, 2)}\n`],
    [join(root, "docs", "config.md"), reference(schema)],
  ]);
}

const preface = `# proxy.yaml

<!-- Written by scripts/schema.mjs from src/config/schema. Change it there. -->

This is every key of the config. \`sluice check\` reports every mistake of a file in one run, each with its place. In an
editor with a YAML language server this first line completes and explains the keys:

\`\`\`yaml
# yaml-language-server: $schema=./config/proxy.schema.json
\`\`\`

## How the file is read

- It is YAML 1.2, one document, encoded in UTF-8. Keys stand once; unknown keys are errors. Anchors, aliases, merge keys and
  tags are refused, so that a value stands where it is used.
- Text values take \`\${NAME}\` from the environment, and \`\${NAME:-default}\` uses the default when the variable is unset or
  empty. \`$\${\` is a literal \`\${\`. Where a number, \`true\` or \`false\` is expected, a value may be one whole \`\${NAME}\`.
  Inside \`{ }\` and \`[ ]\` quotes are needed around it. Keys take no variables. What came from the environment is never shown
  in a message.
- Relative paths are relative to the file that names them.
- \`include\` adds the sockets and services of other files. A name that is defined twice is an error.
- A text that begins with \`*\`, such as \`"*:8080"\`, needs quotes.
- These flags of the command line put other values in place: \`--socket-addr NAME=ADDR\`, \`--socket-fd NAME=FD\`,
  \`--external-addr NAME=ADDR\`, \`--directory-path NAME=PATH\`, \`--shards N\` and \`--admin ADDR\`.
`;

function reference(schema) {
  const sections = [];
  for (const name of order(schema)) sections.push(section(name, schema.$defs[name], schema.$defs));
  return `${preface}\n${sections.join("\n")}`;
}

/** Definitions in the order in which a reader comes to them; the small ones that many share come last. */
function order(schema) {
  const names = new Set();
  const walk = (node) => {
    if (typeof node !== "object" || node === null) return;
    const name = refName(node);
    if (name !== null && !names.has(name)) {
      names.add(name);
      walk(schema.$defs[name]);
    }
    for (const [key, child] of Object.entries(node)) if (key !== "$defs" && key !== "examples") walk(child);
  };
  walk(schema);
  const isObject = (name) =>
    schema.$defs[name].properties !== undefined || schema.$defs[name].type === "array";
  const all = [...names];
  return [...all.filter(isObject), ...all.filter((name) => !isObject(name))];
}

function section(name, definition, definitions) {
  const title = definition.title ?? name;
  let text = `## ${title}\n`;
  if (definition.description !== undefined) text += `\n${wrap(definition.description, "")}\n`;
  if (definition.type === "array")
    text += `\nA list; each entry is a ${typeOf(definition.items, definitions)}.\n`;
  if (definition.properties !== undefined) {
    for (const [key, field] of Object.entries(definition.properties)) {
      text += `\n${item(key, field, definition, definitions)}`;
    }
  }
  const examples = definition.properties === undefined ? (definition.examples ?? []) : [];
  if (examples.length > 0)
    text += `\nExamples: ${examples.map((value) => `\`${flow(value)}\``).join(", ")}\n`;
  return text;
}

function item(key, field, parent, definitions) {
  const facts = [typeOf(field, definitions)];
  if (parent.required?.includes(key)) facts.push("required");
  const initial = field.default;
  if (initial !== undefined && !isEmptyObject(initial)) facts.push(`default \`${flow(initial)}\``);
  const target = refName(field);
  const description = field.description ?? (target === null ? undefined : definitions[target].description);
  let text = `- **\`${key}\`**: ${facts.join(", ")}\n`;
  if (description !== undefined) text += `\n${wrap(description, "  ")}\n`;
  const example = field.examples?.[0];
  if (example !== undefined) text += `\n  Example: \`${key}: ${flow(example)}\`\n`;
  return text;
}

function typeOf(schema, definitions) {
  const name = refName(schema);
  if (name !== null) {
    const title = definitions[name].title ?? name;
    return `[${title}](#${slug(title)})`;
  }
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(" or ");
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.anyOf !== undefined) {
    const kinds = schema.anyOf
      .filter((kind) => kind.pattern !== variable.pattern)
      .map((kind) => typeOf(kind, definitions));
    return [...new Set(kinds)].join(" or ");
  }
  switch (schema.type) {
    case "array":
      return `list of ${typeOf(schema.items, definitions)}`;
    case "object":
      return typeof schema.additionalProperties === "object"
        ? `map of names to ${typeOf(schema.additionalProperties, definitions)}`
        : "map";
    case "string":
      return "text";
    case "integer":
      return "whole number";
    case "boolean":
      return "`true` or `false`";
    default:
      return schema.type ?? "any value";
  }
}

function refName(schema) {
  return typeof schema.$ref === "string" ? schema.$ref.slice("#/$defs/".length) : null;
}

function isEmptyObject(value) {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
  );
}

/** One line of YAML. */
function flow(value) {
  return stringify(value, { collectionStyle: "flow", lineWidth: 0, flowCollectionPadding: true }).trim();
}

function slug(title) {
  return title
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}

function wrap(text, indent) {
  const lines = [];
  let line = indent;
  for (const word of text.split(" ")) {
    if (line.length + word.length + 1 > 118 && line.trim() !== "") {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  return [...lines, line].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const check = process.argv.includes("--check");
  for (const [path, text] of render()) {
    let current = null;
    try {
      current = readFileSync(path, "utf8");
    } catch {}
    if (current === text) continue;
    if (check) {
      process.stderr.write(`${relative(root, path)} is not current: run node scripts/schema.mjs\n`);
      process.exitCode = 1;
    } else {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }
}
