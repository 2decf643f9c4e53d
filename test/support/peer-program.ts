import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import type { TestContext } from "node:test";
import { TemporaryDirectory } from "./temporary.ts";

/** Why a test that needs a program cannot run; false when it can. */
export function missing(program: string): string | false {
  const found = spawnSync(pathOf(program), ["-v"], { stdio: "ignore" });
  return found.error === undefined ? false : `${program} is not installed`;
}

function pathOf(program: string): string {
  const inPath = spawnSync(program, ["-v"], { stdio: "ignore" }).error === undefined;
  return inPath ? program : `/usr/sbin/${program}`;
}

/** Runs HAProxy until the test ends; resolves when it listens on the port. */
export async function startHaProxy(t: TestContext, port: number, config: string): Promise<void> {
  const directory = new TemporaryDirectory(t);
  const defaults = `global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
`;
  directory.write("haproxy.cfg", defaults + config);
  await start(t, port, "haproxy", ["-db", "-q", "-f", directory.at("haproxy.cfg")]);
}

/** Runs nginx with these lines in its `http` block. */
export async function startNginx(t: TestContext, port: number, http: string): Promise<void> {
  const directory = new TemporaryDirectory(t);
  const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  directory.write(
    "nginx.conf",
    `${process.getuid?.() === 0 ? "user root; " : ""}daemon off; worker_processes 1; pid ${directory.at("nginx.pid")};
error_log ${directory.at("error.log")};
events { worker_connections 256; }
http {
  access_log off;
  ${places.map((name) => `${name}_temp_path ${directory.at(name)};`).join(" ")}
  ${http}
}
`,
  );
  await start(t, port, "nginx", ["-p", directory.path, "-c", directory.at("nginx.conf")]);
}

/** Runs a server until the test ends; resolves when it listens on the port. */
export async function start(
  t: TestContext,
  port: number,
  program: string,
  args: readonly string[],
): Promise<void> {
  const child = spawn(pathOf(program), args, { stdio: ["ignore", "ignore", "inherit"] });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  });
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`cannot run ${program}: it ended with ${child.exitCode}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => resolve(false));
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
