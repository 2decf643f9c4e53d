import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Where a program of the machine lies, or null. Daemons are looked for in /usr/sbin too, which PATH may lack. */
export function toolPath(name: string): string | null {
  const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  for (const directory of directories) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return null;
}

/** Where one of nginx's dynamic modules lies, or null. */
export function nginxModule(file: string): string | null {
  const directories = ["/usr/lib/nginx/modules", "/usr/share/nginx/modules", "/etc/nginx/modules"];
  return directories.map((directory) => join(directory, file)).find((path) => existsSync(path)) ?? null;
}
