import { describe, expect, it } from "vitest";
import { commandLine } from "../../../src/cli/program.ts";

/** What a command line means: operands and options of the command that it calls. */
async function parsed(...argv: string[]) {
  const program = commandLine(
    async () => {},
    () => {},
  );
  await program.parseAsync(argv, { from: "user" });
  let command = program;
  for (const word of argv) command = command.commands.find((one) => one.name() === word) ?? command;
  return { operands: command.args, options: command.opts() as Record<string, unknown> };
}

/** Any file that is there. */
const file = import.meta.filename;

describe("the command line", () => {
  it("leaves operands alone that come after an option", async () => {
    expect(await parsed("secrets", "show", "-i", file, "a.age")).toMatchObject({
      operands: ["a.age"],
      options: { identity: [file] },
    });
    expect(await parsed("deploy", "--yes-wipe", "A", ".", "host")).toMatchObject({
      operands: [".", "host"],
      options: { yesWipe: ["A"] },
    });
    expect(await parsed("resume", "--ssh-key", file, "host")).toMatchObject({ operands: ["host"] });
    expect(await parsed("deploy", "--base-cmdline", "a=1", ".", "host")).toMatchObject({
      operands: [".", "host"],
    });
  });

  it("takes several values of an option, and further serials at the end", async () => {
    const again = ["-i", file, "-i", file, "--yes-wipe", "A", "--yes-wipe", "B"];
    expect(await parsed("deploy", ...again, ".", "host")).toMatchObject({
      operands: [".", "host"],
      options: { identity: [file, file], yesWipe: ["A", "B"] },
    });
    expect(await parsed("deploy", ".", "host", "--yes-wipe", "A", "B")).toMatchObject({
      operands: [".", "host", "B"],
      options: { yesWipe: ["A"] },
    });
  });

  it("refuses a file that is to be read and is not there", async () => {
    for (const option of ["-i", "--ssh-key", "-F", "--known-hosts"])
      await expect(parsed("deploy", option, `${file}x`, ".", "host")).rejects.toThrow(/It does not exist/);
  });
});
