import { deployInputs, deployWorld } from "../operator/deploy-inputs.ts";
import { inspectAndPlan } from "../operator/deploy-plan.ts";
import type { DeployState } from "../operator/deploy-run.ts";
import { isGo } from "../operator/preflight.ts";
import { exitCodes, Fail } from "../util/fail.ts";
import type { AddCommand } from "./commands.ts";
import { type HostOptions, hostOptions } from "./options.ts";
import { planLines } from "./plan-text.ts";

export const planCommand: AddCommand = (program, act) => {
  const command = program
    .command("plan")
    .description("what a deploy would do; changes nothing")
    .argument("<DEF>", "the definition: a directory with an IMGBUILD.ts, or the file")
    .argument("<HOST>", "[user@]name[:port], or an alias of your ssh_config")
    .option("--login <USER>", "user of the new system that would verify it");
  hostOptions(command).action((path: string, host: string, options: HostOptions & { login?: string }) =>
    act(async (cli) => {
      const fixed = { deadManSeconds: 600, slow: 1, withoutSecrets: true };
      const login = options.login === undefined ? {} : { login: options.login };
      const inputs = await deployInputs(path, host, { ...fixed, ...login }, cli);
      const world = deployWorld(host, options, cli, async () => {});
      const state: DeployState = {
        bytes: { base: 0, payload: 0 },
        health: [],
        disks: [],
        authorizedKeys: [],
        sshPort: 22,
      };
      try {
        await inspectAndPlan(inputs, state, world);
      } finally {
        state.old?.close();
      }
      const { facts, findings = [], plan, planDigest, disks } = state;
      for (const finding of findings) cli.emit({ event: "finding", ...finding });
      if (facts === undefined || plan === undefined || planDigest === undefined || !isGo(findings))
        throw new Fail("the preflight says no-go", {
          exitCode: exitCodes.refused,
          hint: findings.find((finding) => finding.verdict === "no-go")?.hint ?? "see the findings",
        });
      for (const line of planLines({ facts, findings, plan, planDigest, disks })) cli.print(line);
      cli.emit({ event: "plan", planDigest, disks, plan });
    }),
  );
};
