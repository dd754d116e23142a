import { defineConfig } from "vitest/config";

// unit: no root, no network, under 20 s.  tools: root and real tools.  vm: boots QEMU; one machine at a time.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          testTimeout: 20_000,
          // By itself vitest leaves one processor free, which on two is half of them.
          maxWorkers: "100%",
        },
      },
      {
        test: {
          name: "tools",
          include: ["test/tools/**/*.test.ts"],
          testTimeout: 900_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "matrix",
          include: ["test/matrix/**/*.test.ts"],
          testTimeout: 7_200_000,
          hookTimeout: 2_400_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "vm",
          include: ["test/machine/**/*.test.ts"],
          testTimeout: 2_400_000,
          hookTimeout: 2_400_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
