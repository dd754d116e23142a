import { defineConfig } from "vitest/config";

// The unit tests as a mutation run needs them: in a thread, without those that read the source tree itself.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          root: ".",
          include: ["test/**/*.test.ts"],
          exclude: ["test/tidy.test.ts", "test/bin/**", "test/tools/**", "test/vm/**", "test/matrix/**"],
          setupFiles: ["scripts/mutants/umask.ts"],
          testTimeout: 20_000,
        },
      },
    ],
  },
});
