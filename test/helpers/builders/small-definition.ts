import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** The directory of a definition of next to nothing, made within that one, and what writes it with other fields of `system`. */
export function smallDefinition(within: string): {
  readonly path: string;
  readonly define: (system: object) => void;
} {
  const path = join(within, "small");
  mkdirSync(path);
  return {
    path,
    define: (system) =>
      writeFileSync(
        join(path, "IMGBUILD.ts"),
        `import { image } from "${resolve("src/dsl/index.ts")}";
export default image({ hostname: "small", system: ${JSON.stringify({ suite: "trixie", ...system })} });
`,
      ),
  };
}
