import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { runtimeTypes } from "../../src/cli/runtime-types.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const root = join(import.meta.dirname, "..", "..");

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], cwd: string): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd }, (error, stdout, stderr) => {
      resolve({
        code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1,
        stdout,
        stderr,
      });
    });
  });
}

const sluice = (args: readonly string[], cwd: string) => run([join(root, "bin", "sluice.mjs"), ...args], cwd);
const tsc = (cwd: string) => run([join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "."], cwd);

const tsconfig = {
  compilerOptions: {
    target: "es2024",
    lib: ["es2024", "esnext.disposable", "webworker"],
    module: "esnext",
    moduleResolution: "bundler",
    strict: true,
    exactOptionalPropertyTypes: true,
    types: [],
    noEmit: true,
  },
  include: ["."],
};

const config = `sockets: {}
services:
  gateway:
    worker:
      main: ./src/gateway.ts
      compatibilityDate: 2026-11-01
      bindings:
        APP: { service: app }
        USERS: { service: { name: users, entrypoint: Users, props: { role: edge } } }
        MAIN: { service: users }
        OLD: { service: legacy }
        GREETING: { text: hello }
        TOKEN: { env: NOWHERE_SET }
        MAYBE: { env: NOWHERE_SET_EITHER, optional: true }
        FLAGS: { json: { beta: true, limits: [1, 2], names: { a: "x", b: null } } }
        "with-dash": { text: x }
  users:
    worker: { main: ./src/users.ts, compatibilityDate: 2026-11-01 }
  legacy:
    worker: { main: ./src/legacy.js, compatibilityDate: 2026-11-01 }
  guard:
    worker: { main: ./src/guard.ts, compatibilityDate: 2026-11-01, bindings: { KEY: { text: x } } }
  app: { external: { address: "127.0.0.1:\${APP_PORT}" }, middleware: [{ requestId: {} }, guard, users] }
`;

const users = `import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
export class Counter extends RpcTarget {
  #n = 0;
  add(by: number): number { return (this.#n += by); }
  get value(): number { return this.#n; }
}
export class Users extends WorkerEntrypoint<UsersEnv, { role: string }> {
  async find(id: number): Promise<{ name: string; tags: string[]; rename: (to: string) => void }> {
    return { name: this.ctx.props.role + id, tags: [], rename() {} };
  }
  counter(): Counter { return new Counter(); }
  async each(visit: (name: string) => Promise<void> | void): Promise<void> { await visit("Ada"); }
}
export default { fetch: () => new Response("users") } satisfies ExportedHandler<UsersEnv>;
`;

const gateway = `import { connect } from "cloudflare:sockets";
import { RpcStub } from "cloudflare:workers";
export default {
  async fetch(request, env, ctx) {
    const user = await env.USERS.find(7);
    const name: string = user.name;
    const pipelined: string = await env.USERS.find(7).name;
    await user.rename("Grace");
    using counter = await env.USERS.counter();
    const sum: number = (await counter.add(1)) + (await counter.value) + (await env.USERS.counter().add(2));
    await env.USERS.each(async (each) => console.log(each.toUpperCase()));
    const flags: boolean = env.FLAGS.beta && env.FLAGS.limits[0] === 1 && env.FLAGS.names.b === null;
    const maybe: string | undefined = env.MAYBE;
    const socket: Socket = connect("a:1", { secureTransport: "starttls", allowHalfOpen: false });
    const stub = new RpcStub((a: number) => a * 2);
    const twice: number = await stub(2);
    const copy = counter.dup();
    ctx.waitUntil(socket.closed);
    const answer = await env.APP.fetch(request);
    await env.MAIN.fetch("http://users/");
    await env.OLD.fetch(request);
    return new Response([name, pipelined, sum, flags, maybe, env.TOKEN, env["with-dash"], twice, copy, answer.status].join());
  },
} satisfies ExportedHandler<GatewayEnv>;
`;

const guard = `export default {
  async fetch(request, env) {
    return request.headers.get("x-key") === env.KEY ? env.next.fetch(request) : new Response(null, { status: 403 });
  },
} satisfies ExportedHandler<GuardEnv>;
`;

const wrong = `declare const env: GatewayEnv;
// @ts-expect-error the method takes a number
env.USERS.find("7");
// @ts-expect-error there is no such method
env.USERS.remove(7);
// @ts-expect-error an external has no methods
env.APP.find(7);
// @ts-expect-error the variable may be missing
export const text: string = env.MAYBE;
// @ts-expect-error what is private stays there
env.USERS.env;
// @ts-expect-error no list of middlewares has the Worker
env.next;
declare const both: UsersEnv;
// @ts-expect-error the Worker is called in other places too, where nothing follows
both.next.fetch("http://a/");
`;

test("sluice types writes what each Worker's env holds, and tsc checks methods of other Workers by it", async (t) => {
  const directory = new TemporaryDirectory(t).path;
  const write = (file: string, content: string) => {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), content);
  };
  write("proxy.yaml", config);
  write("tsconfig.json", JSON.stringify(tsconfig));
  write("src/users.ts", users);
  write("src/gateway.ts", gateway);
  write("src/guard.ts", guard);
  write("src/wrong.ts", wrong);
  write("src/legacy.js", "export default {};");

  const missing = await sluice(["types", "--check"], directory);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /cannot accept the types: worker-configuration\.d\.ts is not there/);

  const wrote = await sluice(["types"], directory);
  assert.deepEqual(wrote, { code: 0, stdout: "wrote worker-configuration.d.ts\n", stderr: "" });
  const text = readFileSync(join(directory, "worker-configuration.d.ts"), "utf8");
  assert.match(text, /^ {2}readonly USERS: Service<\(typeof import\("\.\/src\/users"\)\)\["Users"\]>;$/m);
  assert.match(text, /^ {2}readonly OLD: Fetcher;$/m);
  assert.match(text, /^ {2}readonly MAYBE\?: string;$/m);
  assert.deepEqual(await tsc(directory), { code: 0, stdout: "", stderr: "" });

  assert.equal((await sluice(["types", "--check"], directory)).code, 0);
  write("proxy.yaml", config.replace("GREETING", "GREETINGS"));
  const stale = await sluice(["types", "--check"], directory);
  assert.equal(stale.code, 1);
  assert.match(stale.stderr, /is not what the config says; sluice types writes it/);
});

test("with @cloudflare/workers-types in package.json, the types build on those", async (t) => {
  const directory = new TemporaryDirectory(t).path;
  const write = (file: string, content: string) => {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), content);
  };
  write("proxy.yaml", config);
  write("package.json", JSON.stringify({ devDependencies: { "@cloudflare/workers-types": "*" } }));
  const options = { ...tsconfig.compilerOptions, lib: ["es2024", "esnext.disposable"] };
  const types = ["@cloudflare/workers-types"];
  write(
    "tsconfig.json",
    JSON.stringify({ ...tsconfig, compilerOptions: { ...options, types, skipLibCheck: true } }),
  );
  write("src/users.ts", users);
  write("src/gateway.ts", gateway);
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  assert.equal((await sluice(["types"], directory)).code, 0);
  const text = readFileSync(join(directory, "worker-configuration.d.ts"), "utf8");
  assert.doesNotMatch(text, /interface Fetcher/);
  assert.deepEqual(await tsc(directory), { code: 0, stdout: "", stderr: "" });
});

test("a config that cannot be read gives no types, and says where it is wrong", async (t) => {
  const directory = new TemporaryDirectory(t).path;
  writeFileSync(join(directory, "proxy.yaml"), "services: [\n");
  const outcome = await sluice(["types"], directory);
  assert.equal(outcome.code, 1);
  assert.match(outcome.stderr, /^proxy\.yaml:\d+:\d+: error: /m);
});

test("init writes the same types as the command", async (t) => {
  const directory = new TemporaryDirectory(t).path;
  assert.equal((await sluice(["init", "fresh"], directory)).code, 0);
  const project = join(directory, "fresh");
  assert.deepEqual(await sluice(["types", "--check"], project), {
    code: 0,
    stdout: "worker-configuration.d.ts is up to date\n",
    stderr: "",
  });
});

test("the examples are checked with the types that the command writes", () => {
  const head =
    "// What a Worker gets from Sluice beside the Web APIs, for the type checker; as `sluice types` writes it.\n\n";
  assert.equal(readFileSync(join(root, "examples", "worker.d.ts"), "utf8"), head + runtimeTypes);
});
