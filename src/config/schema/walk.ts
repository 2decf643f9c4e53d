import { z } from "zod";
import type { Path } from "../tree.ts";

/** The keys that a map at `path` may have; none when it is a map of names, or no map. */
export function keysAt(root: z.core.$ZodType, path: Path): string[] {
  const keys = new Set<string>();
  for (const schema of schemasAt(root, path)) {
    if (schema instanceof z.ZodObject) for (const key of Object.keys(schema.shape)) keys.add(key);
  }
  return [...keys];
}

/** The first example that the manual has for the value at `path`, or undefined. */
export function exampleAt(root: z.core.$ZodType, path: Path): unknown {
  const last = path.at(-1);
  for (const parent of schemasAt(root, path.slice(0, -1))) {
    const field = parent instanceof z.ZodObject ? parent.shape[String(last)] : undefined;
    const examples = field === undefined ? undefined : z.globalRegistry.get(field)?.examples;
    if (Array.isArray(examples) && examples.length > 0) return examples[0];
  }
  return undefined;
}

/** Every schema that may stand at `path`, wrappers taken off; more than one where there are unions. */
function schemasAt(root: z.core.$ZodType, path: Path): z.core.$ZodType[] {
  let schemas = unwrap(root);
  for (const step of path) {
    schemas = schemas.flatMap((schema) => {
      if (schema instanceof z.ZodObject) {
        const field: z.core.$ZodType | undefined = schema.shape[String(step)];
        return field === undefined ? [] : unwrap(field);
      }
      if (schema instanceof z.ZodRecord) return unwrap(schema.valueType);
      if (schema instanceof z.ZodArray) return typeof step === "number" ? unwrap(schema.element) : [];
      return [];
    });
  }
  return schemas;
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault
  ) {
    return unwrap(schema.unwrap());
  }
  if (schema instanceof z.ZodPipe) return unwrap(schema.in);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(unwrap);
  return [schema];
}
