import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer } from "vitest/node";
import { Instrumented } from "./instrument.ts";

// One process loads the unit tests of a part once, with the changed sources, and then runs them for each change.
const root = process.cwd();
const directory = process.env.IMGBUILD_MUTANTS!;
const tests = process.env.IMGBUILD_MUTANTS_TESTS!.split(",");
const { sources } = Instrumented.parse(
  JSON.parse(readFileSync(join(directory, "instrumented.json"), "utf8")),
);

/** Those that make the changes act come last. */
class ChangesLast extends BaseSequencer {
  override async sort(files: Parameters<BaseSequencer["sort"]>[0]) {
    const rank = ({ moduleId }: { moduleId: string }) => (moduleId.endsWith("/changes.test.ts") ? 1 : 0);
    return files.toSorted((a, b) => rank(a) - rank(b) || (a.moduleId < b.moduleId ? -1 : 1));
  }
}

export default defineConfig({
  cacheDir: join(root, directory, "vite"),
  plugins: [
    {
      name: "changed-sources",
      enforce: "pre",
      load: (id) => sources[relative(root, id.split("?")[0]!)],
    },
  ],
  test: {
    root,
    include: [...tests.map((folder) => `${folder}/**/*.test.ts`), "scripts/mutants/changes.test.ts"],
    testTimeout: 20_000,
    pool: "forks",
    isolate: false,
    maxWorkers: 1,
    runner: "./scripts/mutants/runner.ts",
    sequence: { sequencer: ChangesLast },
    reporters: ["dot"],
    dangerouslyIgnoreUnhandledErrors: true,
  },
});
