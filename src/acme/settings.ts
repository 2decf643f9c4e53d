import { createHash } from "node:crypto";
import type { AcmeConfig } from "../config/schema/acme.ts";

/** What a socket's config asks of an authority, complete. */
export interface AcmeSettings extends Omit<AcmeConfig, "storage"> {
  /** Absolute path. */
  readonly storage: string;
  /** A socket of the same proxy answers plain HTTP requests in host style, so that http-01 can be tried. */
  readonly servesHttp: boolean;
}

/** A socket whose certificate an authority issues. */
export interface AcmeSocket {
  readonly socket: string;
  readonly settings: AcmeSettings;
}

/** The names without repetitions, in an order that does not depend on how the config lists them. */
export function nameSet({ domains }: AcmeSettings): string[] {
  return [...new Set(domains)].sort();
}

/** The same for sockets, and revisions, that are to show one and the same certificate. */
export function certificateKey(settings: AcmeSettings): string {
  return JSON.stringify([settings.storage, settings.directory, nameSet(settings)]);
}

/** Of a text, as part of a file's name. */
export function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}
