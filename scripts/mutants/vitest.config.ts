import { defineConfig } from "vitest/config";

// The unit tests as a mutation run needs them: in a thread, without those that read the source tree itself.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          root: ".",
          include: ["test/unit/**/*.test.ts"],
          exclude: ["test/unit/tidy/**", "test/unit/bin/**"],
          setupFiles: ["scripts/mutants/umask.ts"],
          testTimeout: 20_000,
        },
      },
    ],
  },
});
