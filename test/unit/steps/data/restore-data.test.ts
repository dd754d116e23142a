import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { restoreData, shower } from "../../../../src/steps/data/restore-data.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";

const program = "/usr/local/sbin/imgbuild-backup";
const input = { program, secrets: ["key"], paths: ["/srv/app"] };

describe("restore-data", () => {
  it("runs the program of the tree with the network, and its secrets as files for as long as it runs", async () => {
    const { context, asked, options } = stepBench({ secrets: { key: "open" }, context: { nonce: "ab" } });
    const directory = join(context.machine.run, "imgbuild/credentials");
    let seen: string | undefined;
    const chroot: typeof context.chroot = async (argv, given) => {
      seen = readFileSync(join(directory, "key"), "utf8");
      return await context.chroot(argv, given);
    };
    await restoreData.run(input, { ...context, chroot });
    expect(asked).toEqual([`tree: ${program} restore -- /srv/app`]);
    expect(seen).toBe("open");
    expect(existsSync(directory)).toBe(false);
    const env = { CREDENTIALS_DIRECTORY: "/run/credentials/imgbuild", IMGBUILD_DEPLOY: "ab" };
    expect(options[0]).toMatchObject({ network: true, env });
    expect(JSON.stringify(options[0]!.env)).not.toContain("open");
  });

  it("says what the program said where it fails, and how to go on", async () => {
    const { context } = stepBench({ secrets: { key: "open" } });
    const chroot: typeof context.chroot = async (_argv, given) => {
      given?.onLine?.("repository is away");
      throw new Fail("imgbuild-backup exited 1\nnoise");
    };
    const failed = Promise.resolve(restoreData.run(input, { ...context, chroot }));
    await expect(failed).rejects.toMatchObject({
      message: "imgbuild-backup exited 1\nrepository is away",
      hint: expect.stringContaining("imgbuild resume"),
    });
  });

  it("is not begun without its secrets", async () => {
    const { context, asked } = stepBench();
    await expect(Promise.resolve(restoreData.run(input, context))).rejects.toThrow(
      "the secret key is not at hand",
    );
    expect(asked).toEqual([]);
  });
});

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
