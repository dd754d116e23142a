import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { restoreData } from "../../../../src/steps/data/restore-data.ts";
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
