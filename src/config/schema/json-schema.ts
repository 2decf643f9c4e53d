import { z } from "zod";
import { proxy } from "./proxy.ts";

/** A JSON Schema, as far as the code that reads it looks into it. */
export interface JsonSchema {
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  type?: string;
  title?: string;
  description?: string;
  default?: unknown;
  examples?: unknown[];
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  [key: string]: unknown;
}

/** A whole `${NAME}` may stand for any number, boolean or word of a fixed set. */
export const variable: JsonSchema = {
  type: "string",
  pattern: "^\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}$",
};

const manual = ["title", "description", "default", "examples"];

/** The schema of proxy.yaml as it is written, draft 2020-12: what editors complete and check against. */
export function jsonSchema(): JsonSchema {
  const made = z.toJSONSchema(proxy, {
    io: "input",
    override: ({ zodSchema, jsonSchema: target }) => complete(zodSchema, target as JsonSchema),
  }) as JsonSchema;
  // Any JSON value: the recursive definition that zod writes out says no more than nothing does.
  const { __schema0, ...definitions } = made.$defs ?? {};
  return { ...made, title: "Sluice configuration", $defs: definitions };
}

function complete(schema: z.core.$ZodType, target: JsonSchema): void {
  const meta = z.globalRegistry.get(schema);
  // zod leaves the examples of values that are transformed out; ours are all written as in the file.
  if (Array.isArray(meta?.examples)) target.examples = meta.examples;
  if (meta?.id === "Json") {
    delete target.$ref;
    delete target.anyOf;
  }
  if (meta?.id === "Service") Object.assign(target, { minProperties: 1, maxProperties: 1 });
  const fixed = ["number", "integer", "boolean"].includes(target.type ?? "") || target.enum !== undefined;
  if (!fixed) return;
  const exact: JsonSchema = {};
  for (const key of Object.keys(target)) {
    if (manual.includes(key)) continue;
    exact[key] = target[key];
    delete target[key];
  }
  target.anyOf = [exact, variable];
}
