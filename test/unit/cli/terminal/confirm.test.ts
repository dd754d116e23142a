import { describe, expect, it } from "vitest";
import { type ConfirmOptions, confirm } from "../../../../src/cli/terminal/confirm.ts";
import type { Cli } from "../../../../src/cli/terminal/context.ts";
import type { PlanView } from "../../../../src/operator/plan/planned.ts";
import { machineFacts } from "../../../helpers/builders/deployable.ts";

const path = "pci-0000:00:06.0";
const line = 'host: { dmiUuid: "4c4c4544-0042-3510-8051-b6c04f4e3233" }';

/** A plan that wipes a disk known by its port, and what a person answers. */
async function confirmed(options: ConfirmOptions, bound: PlanView["bound"], answer?: string) {
  const asked: string[] = [];
  const cli = {
    ...{ print: () => {}, emit: () => {} },
    ask: async (question: string) => {
      asked.push(question);
      return answer ?? "";
    },
  } as unknown as Cli;
  const view: PlanView = {
    ...{ facts: machineFacts(), findings: [], bound, planDigest: "abc", fates: [] },
    plan: { version: 1, hostname: "web", definition: "d", prepare: [], steps: [] },
    disks: [{ name: "system", serial: null, path, model: null, sizeBytes: 2 ** 30, action: "written" }],
    apt: [],
  };
  await confirm(view, options, cli);
  return asked;
}

describe("confirm", () => {
  it.each<ConfirmOptions>([{ unattended: true, yesWipe: [path] }, { yesWipe: [path] }, { unattended: true }])(
    "refuses to ask nothing where the definition could mean another host, and shows the line to say: %j",
    async (options) => {
      await expect(confirmed(options, { line })).rejects.toMatchObject({
        exitCode: 3,
        message: expect.stringMatching(/needs a definition that means this host alone/),
        hint: `say \`${line}\` in the definition`,
      });
    },
  );

  it("asks nothing where the definition means this host alone and each disk is named", async () => {
    expect(await confirmed({ unattended: true, yesWipe: [path] }, { by: "its DMI UUID", line })).toEqual([]);
    await expect(confirmed({ unattended: true }, { by: "its DMI UUID", line })).rejects.toMatchObject({
      exitCode: 3,
      hint: `--yes-wipe ${path}`,
    });
  });

  it("asks a person for what the disk is known by, bound or not", async () => {
    expect(await confirmed({}, { line }, path)).toEqual([
      `Type the port of the disk to be wiped (no model, ${path}): `,
    ]);
    await expect(confirmed({}, { line }, "yes")).rejects.toMatchObject({ exitCode: 3 });
  });
});
