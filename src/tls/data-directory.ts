import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Where Sluice keeps data: `SLUICE_DATA_DIR`, or `sluice` among the user's (XDG Base Directory Specification). */
export function dataDirectory(env: NodeJS.ProcessEnv): string {
  const { SLUICE_DATA_DIR: own, XDG_DATA_HOME: data } = env;
  if (own !== undefined && own !== "") return own;
  const base = data !== undefined && data !== "" ? data : join(env.HOME ?? homedir(), ".local", "share");
  return join(base, "sluice");
}

/** A file's text; null when there is no such file. @throws the system's error for any other reason */
export function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
