import { type RunnerTestCase, type RunnerTestFile, TestRunner } from "vitest";

import { loaded } from "./loaded.ts";

/** Vitest's own runner, which keeps what it loaded and notes which changes each test reaches. */
export default class extends TestRunner {
  onCollected(files: RunnerTestFile[]): void {
    loaded.files.push(...files);
  }

  override async onBeforeRunTask(test: RunnerTestCase): Promise<void> {
    if (loaded.durations !== undefined && !test.file.filepath.endsWith("/changes.test.ts"))
      test.mode = "skip";
    await super.onBeforeRunTask(test);
    loaded.stryker.currentTestId = test.id;
  }

  override onAfterRunTask(test: RunnerTestCase): void {
    loaded.stryker.currentTestId = undefined;
    super.onAfterRunTask(test);
  }
}
