import type { Report } from "./diagnostic.ts";
import { suggest } from "./suggestion.ts";
import { type ConfigNode, child, entries, type MapNode, madeScalar, put } from "./tree.ts";

/** What the command line puts over the config, by the name of a socket or service; texts as they were given. */
export interface Overrides {
  /** `--socket-addr NAME=ADDR` */
  readonly socketAddr?: Readonly<Record<string, string>>;
  /** `--socket-fd NAME=FD` */
  readonly socketFd?: Readonly<Record<string, string>>;
  /** `--external-addr NAME=ADDR` */
  readonly externalAddr?: Readonly<Record<string, string>>;
  /** `--directory-path NAME=PATH`; relative to the working directory. */
  readonly directoryPath?: Readonly<Record<string, string>>;
  /** `--shards N` */
  readonly shards?: string;
  /** `--admin ADDR` */
  readonly admin?: string;
}

/** Writes the overrides into the tree. Names that do not exist are reported, with the nearest that does. */
export function applyOverrides(
  root: MapNode,
  overrides: Overrides,
  incomplete: boolean,
  report: Report,
): void {
  const sockets = child(root, "sockets");
  const services = child(root, "services");

  const apply = (
    flag: string,
    what: string,
    values: Readonly<Record<string, string>> | undefined,
    section: ConfigNode | null,
    kind: string | null,
    key: string,
    prefix = "",
  ) => {
    for (const [name, value] of Object.entries(values ?? {})) {
      const named = child(section, name);
      const target = kind === null ? named : child(named, kind);
      if (target?.kind === "map") {
        put(target, key, madeScalar(prefix + value, `${flag} ${name}`));
        // One address in place of all.
        if (kind === "external") target.entries.delete("addresses");
      } else if (target === null && !incomplete) {
        const names = Array.from(entries(section))
          .filter((entry) => kind === null || child(entry.node, kind) !== null)
          .map((entry) => entry.key);
        const otherwise = names.length === 0 ? ": the config defines none" : `: there is ${names.join(", ")}`;
        report.error(
          null,
          `cannot apply ${flag} ${name}: no ${what} has this name${suggest(name, names, otherwise)}`,
        );
      }
    }
  };

  apply("--socket-addr", "socket", overrides.socketAddr, sockets, null, "address");
  apply("--socket-fd", "socket", overrides.socketFd, sockets, null, "address", "fd:");
  apply("--external-addr", "external", overrides.externalAddr, services, "external", "address");
  apply("--directory-path", "disk", overrides.directoryPath, services, "disk", "path");
  for (const name of Object.keys(overrides.socketFd ?? {})) {
    if (overrides.socketAddr?.[name] !== undefined) {
      report.error(null, `cannot apply --socket-fd ${name}: --socket-addr ${name} is given as well`);
    }
  }

  if (overrides.shards !== undefined) {
    const count = /^[1-9]\d{0,3}$/.test(overrides.shards) ? Number(overrides.shards) : overrides.shards;
    put(root, "shards", madeScalar(count, "--shards"));
  }
  if (overrides.admin !== undefined) {
    const admin = child(root, "admin");
    const address = madeScalar(overrides.admin, "--admin");
    if (admin?.kind === "map") put(admin, "address", address);
    else {
      const entry = { key: "address", keySpan: null, node: address };
      put(root, "admin", { kind: "map", entries: new Map([["address", entry]]), span: null });
    }
  }
}
