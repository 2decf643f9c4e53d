import { createRequire } from "node:module";
import { TrustedStore } from "../trusted-store.ts";

let opened: TrustedStore | null | undefined;

/** The store of the user's cache directory, opened once; null when there is no safe place for it. */
export function defaultStore(): TrustedStore | null {
  if (opened === undefined) opened = TrustedStore.open();
  return opened;
}

/** Read from its package.json, since importing esbuild is what a stored bundle saves. */
export function esbuildVersion(): string {
  const { version } = createRequire(import.meta.url)("esbuild/package.json") as { version: string };
  return version;
}
