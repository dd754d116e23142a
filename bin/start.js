import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import "./quiet.js";

const [major, minor] = process.versions.node.split(".").map(Number);
const top = dirname(dirname(fileURLToPath(import.meta.url)));
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `imgbuild needs Node 20.19 or later; this is ${process.version}\n  hint: sudo npm install --global node@20`,
  );
  process.exit(1);
}
const packaged = join(top, "dist", "program");
const program = existsSync(packaged) ? await installed() : await checkout();
await program.main(process.argv.slice(2));

/** A package that npm installed has the program made already. */
async function installed() {
  const { loadMade } = await import("./program.js");
  return await loadMade(packaged);
}

async function checkout() {
  if (!existsSync(join(top, "node_modules", "tsx"))) {
    console.error(`imgbuild's libraries are not installed\n  hint: (cd ${top} && npm ci --ignore-scripts)`);
    process.exit(1);
  }
  const { loadProgram } = await import("./program.js");
  const program = await loadProgram(top);
  if (program !== undefined) return program;
  // tsx runs the operator's side from its TypeScript source.
  const { register } = await import("tsx/esm/api");
  register();
  return await import("../src/main.ts");
}
