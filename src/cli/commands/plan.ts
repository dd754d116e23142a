import { deployInputs, deployWorld } from "../../operator/deploy/inputs.ts";
import { inspectAndPlan } from "../../operator/deploy/inspect.ts";
import type { DeployState } from "../../operator/deploy/state.ts";
import { isGo } from "../../operator/inspect/preflight.ts";
import { deployPlan } from "../../operator/plan/plan.ts";
import type { Spec } from "../../schema/spec.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { AddCommand } from "../terminal/context.ts";
import { type HostOptions, hostOptions } from "../terminal/options.ts";
import { planLines } from "../terminal/plan-text.ts";

export const planCommand: AddCommand = (program, act) => {
  const command = program
    .command("plan")
    .description("what a deploy would do; changes nothing")
    .argument("<DEF>", "the definition: a directory with an IMGBUILD.ts, or the file")
    .argument(
      "[HOST]",
      "[user@]name[:port], or an alias of your ssh_config; without it the steps for a machine of the declared sizes",
    )
    .option("--login <USER>", "user of the new system that would verify it");
  hostOptions(command).action(
    (path: string, host: string | undefined, options: HostOptions & { login?: string }) =>
      act(async (cli) => {
        const fixed = { deadManSeconds: 600, slow: 1, withoutSecrets: true };
        const login = options.login === undefined ? {} : { login: options.login };
        const inputs = await deployInputs(path, host ?? "", { ...fixed, ...login }, cli);
        if (host === undefined) {
          const plan = deployPlan(inputs, standIn(inputs.spec));
          cli.print(`definition ${inputs.definition}`);
          for (const [index, step] of plan.steps.entries())
            cli.print(`${String(index + 1).padStart(3)}. ${step.doing}`);
          cli.emit({ event: "plan", plan });
          return;
        }
        const world = deployWorld(host, options, cli, async () => {});
        const state: DeployState = {
          bytes: { base: 0, payload: 0 },
          health: [],
          disks: [],
          baseAccess: [],
          sshPort: 22,
        };
        try {
          await inspectAndPlan(inputs, state, world);
        } finally {
          state.old?.close();
        }
        const { facts, findings = [], bound, plan, planDigest, disks, apt = [], fates = [] } = state;
        for (const finding of findings) cli.emit({ event: "finding", ...finding });
        if (!facts || !bound || !plan || planDigest === undefined || !isGo(findings))
          throw new Fail("the preflight says no-go", {
            exitCode: exitCodes.refused,
            hint: findings.find((finding) => finding.verdict === "no-go")?.hint ?? "see the findings",
          });
        for (const line of planLines({ facts, findings, bound, plan, planDigest, disks, apt, fates }))
          cli.print(line);
        cli.emit({ event: "plan", planDigest, bound, disks, apt, fates, plan });
      }),
  );
};

/** A machine with just the disks that the definition declares, as large as their images. */
function standIn(spec: Spec): Parameters<typeof deployPlan>[1] {
  const disks = Object.entries(spec.storage?.disks ?? {}).map(([name, disk]) => [
    name,
    {
      name,
      ...(disk.match.serial === undefined ? {} : { serial: disk.match.serial }),
      ...(disk.match.wwn === undefined ? {} : { wwn: disk.match.wwn }),
      sizeBytes: "table" in disk ? disk.imageSize : (disk.match.minSize ?? 2 ** 30),
      sectorSize: 512,
      removable: false,
      readOnly: false,
      holders: [],
      mountPoints: [],
      partitions: [],
    },
  ]);
  return {
    facts: {
      machineId: "",
      bootId: "",
      consoles: spec.boot?.consoles ?? [],
      firmware: spec.boot?.firmware.includes("uefi") ? "uefi" : "bios",
    },
    disks: Object.fromEntries(disks),
    mirrors: spec.system.mirror === undefined ? {} : { debian: [spec.system.mirror] },
  };
}
