// Checks the directions of imports with dependency-cruiser. It cannot read TypeScript 7, so it gets the source as
// JavaScript: esbuild drops the types of each file, and keeps or drops the imports of types alone. Exit code 1 and one
// line for each forbidden import.
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cruise } from "dependency-cruiser";
import { transformSync } from "esbuild";
import { types, values } from "../.dependency-cruiser.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// Inside the checkout, so that imports of packages are found as from src/.
const place = join(root, ".sluice", `boundaries-${process.pid}`);

const violations = [];
try {
  violations.push(...(await check("values", values)), ...(await check("types", types)));
} finally {
  rmSync(place, { recursive: true, force: true });
}
for (const { rule, from, to, cycle } of violations) {
  const way = cycle === undefined ? to : cycle.map((step) => step.name ?? step).join(" → ");
  process.stderr.write(`${original(from)}: cannot import ${original(way)}: ${rule.name}\n`);
}
process.exitCode = violations.length > 0 ? 1 : 0;

async function check(kind, forbidden) {
  const directory = join(place, kind);
  for (const file of globSync("src/**/*.ts", { cwd: root })) {
    const source = readFileSync(join(root, file), "utf8");
    const target = join(directory, file.replace(/\.ts$/, ".js"));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, toJavaScript(source, kind === "types"));
  }
  const { output } = await cruise(["src"], {
    baseDir: directory,
    ruleSet: { forbidden },
    validate: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "node_modules/(?!isolated-vm)" },
  });
  return output.summary.violations;
}

function toJavaScript(source, keepTypes) {
  const text = keepTypes
    ? source
        .replace(/^(import|export) type ([^;=]*? from ["'])/gm, "$1 $2")
        .replace(/^import \{[^}]*\}/gm, (list) => list.replace(/\btype (?=\w)/g, ""))
    : source;
  const { code } = transformSync(text, {
    loader: "ts",
    format: "esm",
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  });
  return code.replace(/((?:from|import|import\()\s*["'][.][^"']*)\.ts(["'])/g, "$1.js$2");
}

function original(path) {
  return path.replace(/\.js\b/g, ".ts");
}
