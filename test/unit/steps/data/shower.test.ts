import { describe, expect, it } from "vitest";
import { shower } from "../../../../src/steps/data/shower.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";

describe("what a program of backups prints", () => {
  it("is shown as progress where it is a share, and else as it is", () => {
    const { context, said } = stepBench();
    const lines = shower(context.log);
    for (const line of [
      "snapshot 1a2b3c4d",
      "[0:05] 12.34%  100 files/dirs 1.2 GiB, total 200 files/dirs 10 GiB",
      "[0:06] 12.90%  101 files/dirs",
      '{"type": "progress_percent", "message": " 45.0% Extracting: srv/app"}',
      "    3,145,728  99%    1.00GB/s    0:00:00",
      '{"type": "log_message"}',
      "",
    ])
      lines.show(line);
    expect(said).toEqual([
      ...["info snapshot 1a2b3c4d", "progress 12/100 %", "progress 45/100 %", "progress 99/100 %"],
    ]);
    expect(lines.tail).toEqual(["snapshot 1a2b3c4d"]);
  });
});
