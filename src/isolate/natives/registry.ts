import { cryptoNatives } from "./crypto.ts";
import type { Native } from "./native.ts";

/** All natives by the names that the runtime calls them with. */
export const natives: ReadonlyMap<string, Native> = new Map<string, Native>([...cryptoNatives]);
