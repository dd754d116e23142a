import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { silentLog } from "../../src/util/log.ts";
import { imgbuild } from "../helpers/imgbuild.ts";
import { deployArguments, startLab } from "../helpers/labs/lab.ts";

const env = process.env;
const minute = 60_000;

function endedAfter(said: string, signal: NodeJS.Signals): (child: ChildProcess) => void {
  return (child) => {
    let text = "";
    child.stderr?.on("data", (chunk: string) => {
      text += chunk;
      if (text.includes(said)) child.kill(signal);
    });
  };
}

it("takeover-bond-vlan: the base answers on a VLAN on a bond, the host's only way out, and abort brings the host back", async () => {
  const lab = await startLab({ firmware: "bios", network: "bond-vlan", log: silentLog, env });
  try {
    const before = await lab.stock.waitForLogin();
    const had = await lab.stock.succeed(
      "ip -4 -o route show; ip -o link show v20; cat /sys/class/net/bond0/address",
    );
    expect(had).toMatch(/^default via 10\.0\.2\.2 dev v20/);
    const mark = lab.machine.console.mark();
    // Killed once the base has proved itself: it says that by the network alone.
    const lost = await imgbuild(
      [...deployArguments(lab, join(lab.directory, "report.json")), "--dead-man", "3600"],
      { env, timeoutMs: 30 * minute, onStart: endedAfter("waiting for the base", "SIGKILL") },
    );
    expect({ code: lost.code, tail: lost.code === 128 ? "" : lost.stderr.slice(-3000) }).toEqual({
      code: 128,
      tail: "",
    });
    await lab.machine.waitForConsole(/imgbuild: the base is up/, { after: mark });
    const followed = await imgbuild(["follow", "target", ...lab.login], {
      env,
      timeoutMs: 10 * minute,
      onStart: endedAfter("the runner is waiting", "SIGINT"),
    });
    expect({ code: followed.code, tail: followed.code === 130 ? "" : followed.stderr.slice(-3000) }).toEqual({
      code: 130,
      tail: "",
    });
    expect(lab.machine.console.text).toMatch(/v20 is made/);
    const aborted = await imgbuild(["abort", "target", ...lab.login], { env, timeoutMs: 10 * minute });
    expect(aborted).toMatchObject({ code: 0, stdout: "target runs its old system again\n" });
    await lab.stock.waitForLogin({ notBoot: before });
  } finally {
    await lab.close();
  }
});
