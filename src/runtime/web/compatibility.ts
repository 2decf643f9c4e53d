import {
  ObjectCreate,
  ObjectDefineProperty,
  ObjectFreeze,
  StringIndexOf,
  StringSlice,
} from "./primordials.ts";

/**
 * The global `Cloudflare`, by which code asks for what it may rely on. @param flags the Worker's compatibility flags;
 * one that begins with `no_` turns off the flag that it names.
 */
export function describeCompatibility(flags: readonly string[]): object {
  const compatibilityFlags = ObjectCreate(null) as Record<string, boolean>;
  for (let i = 0; i < flags.length; i++) {
    const flag = flags[i] as string;
    const off = StringIndexOf(flag, "no_") === 0;
    ObjectDefineProperty(compatibilityFlags, off ? StringSlice(flag, 3) : flag, {
      __proto__: null,
      value: !off,
      enumerable: true,
    } as PropertyDescriptor);
  }
  return { compatibilityFlags: ObjectFreeze(compatibilityFlags) };
}
