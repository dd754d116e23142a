import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { declaredDisks } from "../../../../src/operator/host/plan-definition.ts";
import { openDefinition } from "../../../../src/operator/lock/open-definition.ts";
import { deployPlan } from "../../../../src/operator/plan/plan.ts";
import { inputsOfDeploy } from "../../../helpers/builders/deployable.ts";

const examples = [
  "imgbuild/web",
  ...readdirSync("imgbuild/layouts").map((name) => `imgbuild/layouts/${name}`),
];

describe("a plan without a host", () => {
  it.each(examples.filter((path) => !path.endsWith(".ts")))(
    "is made of %s, whatever it keeps",
    async (path) => {
      const { spec, lock } = await openDefinition(path);
      const about = {
        facts: { ...{ machineId: "", bootId: "", consoles: [] }, firmware: "uefi" as const },
        ...{ disks: declaredDisks(spec), mirrors: {} },
      };
      expect(deployPlan(inputsOfDeploy({ spec, lock }), about).steps.length).toBeGreaterThan(5);
    },
  );
});
