import { cryptoNatives } from "./crypto.ts";
import type { Native } from "./native.ts";
import { utf8Natives } from "./utf8.ts";

/** All natives by the names that the runtime calls them with. */
export const natives: ReadonlyMap<string, Native> = new Map<string, Native>([
  ...cryptoNatives,
  ...utf8Natives,
]);
