import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileReason } from "../config/host.ts";
import { jsonSchema } from "../config/schema/json-schema.ts";
import type { WrittenWorker } from "../config/worker-bindings.ts";
import { declarations, typesFile } from "./types.ts";
import { exitCodes } from "./usage.ts";

export interface InitOptions {
  /** Made when it is not there; relative to the working directory. */
  readonly directory: string;
}

/**
 * Writes a starting project: a config, a TypeScript Worker, and what an editor needs to check both. Writes nothing when
 * one of the files exists.
 *
 * @returns the exit code: 0, or 1 when a file exists or cannot be written
 */
export async function init(options: InitOptions): Promise<number> {
  const directory = resolve(options.directory);
  const files = startingFiles(basename(directory), new Date());
  const present = Array.from(files.keys()).filter((name) => existsSync(join(directory, name)));
  if (present.length > 0) {
    const verb = present.length === 1 ? "exists" : "exist";
    return fail(`cannot write a project to "${options.directory}": ${present.join(", ")} ${verb} already`);
  }
  for (const [name, text] of files) {
    const path = join(directory, name);
    try {
      mkdirSync(dirname(path), { recursive: true });
      // Never over a file that came to be in the meantime.
      writeFileSync(path, text, { flag: "wx" });
    } catch (error) {
      return fail(`cannot write "${path}": ${fileReason(error)}`);
    }
    process.stdout.write(`wrote ${join(options.directory, name)}\n`);
  }
  const config = relative(process.cwd(), join(directory, "proxy.yaml"));
  process.stdout.write(
    `\nnow run:  sluice serve ${config === "proxy.yaml" ? "--watch" : `${config} --watch`}\n` +
      "and try:  curl http://127.0.0.1:8080/\n",
  );
  return exitCodes.done;
}

function fail(message: string): number {
  process.stderr.write(`sluice: ${message}\n`);
  return exitCodes.failed;
}

/** The files of a new project by their paths in it. */
function startingFiles(directory: string, today: Date): ReadonlyMap<string, string> {
  const name =
    directory
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]+/g, "-")
      .replaceAll(/^-+|-+$/g, "") || "proxy";
  return new Map([
    ["proxy.yaml", config(today.toISOString().slice(0, 10))],
    ["src/worker.ts", worker],
    ["tsconfig.json", json(tsconfig)],
    [typesFile, declarations(startingWorkers(directory), join(directory, typesFile), false)],
    ["package.json", json({ name, ...manifest })],
    [".gitignore", "node_modules/\n.env\n"],
    // The project checks in an editor without anything installed; `sluice check` has the last word.
    ["proxy.schema.json", `${JSON.stringify(jsonSchema())}\n`],
  ]);
}

/** As `sluice types` reads them from the config below. */
function startingWorkers(directory: string): readonly WrittenWorker[] {
  const main = join(directory, "src/worker.ts");
  return [{ name: "hello", main, bindings: [{ kind: "text", name: "GREETING" }] }];
}

function config(date: string): string {
  return `# yaml-language-server: $schema=./proxy.schema.json
sockets:
  public:
    address: 127.0.0.1:8080
    service: hello

services:
  hello:
    worker:
      main: ./src/worker.ts
      compatibilityDate: ${date}
      bindings:
        GREETING: { text: Hello from Sluice }
        # ORIGIN: { service: app }      # env.ORIGIN.fetch(request)

  # app:
  #   external:
  #     address: 127.0.0.1:9000
`;
}

const worker = `// Env is what proxy.yaml binds: "sluice types" writes it to worker-configuration.d.ts.
export default {
  async fetch(request, env, _ctx) {
    const url = new URL(request.url);
    if (url.pathname === "/") return new Response(\`\${env.GREETING}\\n\`);
    return Response.json({ method: request.method, path: url.pathname }, { status: 404 });
  },
} satisfies ExportedHandler<Env>;
`;

const tsconfig = {
  compilerOptions: {
    target: "es2024",
    lib: ["es2024", "esnext.disposable", "webworker"],
    module: "esnext",
    moduleResolution: "bundler",
    strict: true,
    isolatedModules: true,
    resolveJsonModule: true,
    skipLibCheck: true,
    types: [],
    noEmit: true,
  },
  include: ["src", typesFile],
};

const manifest = {
  private: true,
  type: "module",
  scripts: {
    start: "sluice serve --watch",
    check: "sluice check && sluice types --check && tsc",
    types: "sluice types",
    test: "sluice test",
  },
  devDependencies: { typescript: "^7.0.2" },
};

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
