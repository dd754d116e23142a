import { noGo } from "../../operator/deploy/confirm.ts";
import type { PlanOptions } from "../../operator/host/plan-definition.ts";
import type { AddCommand } from "../terminal/context.ts";
import {
  buildOnOption,
  defHelp,
  hardwareOptions,
  hostHelp,
  hostOptions,
  takeoverOption,
} from "../terminal/options.ts";

type Options = PlanOptions & { readonly commands?: true };

export const planCommand: AddCommand = (program, act) => {
  const command = program
    .command("plan")
    .description("what a deploy would do; changes nothing")
    .argument("<DEF>", defHelp)
    .argument("[HOST]", `${hostHelp}; without any, the steps for a machine of the declared sizes`)
    .option("--login <USER>", "user of the new system that would verify it")
    .option("--restore", "with the data of its backup")
    .option("--commands", "show the command lines of each step too");
  hostOptions(takeoverOption(hardwareOptions(command.addOption(buildOnOption())))).action(
    (path: string, word: string | undefined, given: Options) =>
      act(async (cli) => {
        const { planTargetOf } = await import("../../operator/host/target.ts");
        const { definition: at, host, record } = await planTargetOf(path, word, cli.log);
        const options = { ...given, record };
        const { planDefinition, planWithoutHost } = await import("../../operator/host/plan-definition.ts");
        const { stepLines } = await import("../../operator/plan/step-lines.ts");
        const { planLines } = await import("../../operator/plan/plan-text.ts");
        if (host === undefined) {
          const { showFinding } = await import("../../operator/deploy/inspect.ts");
          const { definition, plan, findings } = await planWithoutHost(at, options, cli);
          for (const finding of findings) {
            showFinding(cli.log, finding);
            cli.emit({ event: "finding", ...finding });
          }
          for (const line of [`definition ${definition}`, ...stepLines(plan, options.commands ?? false)])
            cli.print(line);
          cli.emit({ event: "plan", plan });
          return;
        }
        const inspected = await planDefinition(at, host, options, cli);
        for (const finding of inspected.findings) cli.emit({ event: "finding", ...finding });
        if (inspected.verdict === "no-go") throw noGo("the preflight says no-go", inspected.findings);
        for (const line of planLines(inspected, options.commands)) cli.print(line);
        const { planDigest, bound, disks, apt, fates, plan } = inspected;
        cli.emit({ event: "plan", planDigest, bound, disks, apt, fates, plan });
      }),
  );
};
