// Installs the Debian packages that tests, demo and local builds need; does nothing when all is there.
import { existsSync } from "node:fs";
import { missing, remedy } from "../src/operator/doctor.ts";
import { plainEnv, run } from "../src/system/run.ts";

const lacking = await missing(["build", "vm", "tests"]);
if (lacking.length > 0) {
  const sudo = process.getuid?.() === 0 ? [] : ["sudo"];
  if (!existsSync("/usr/bin/apt-get")) {
    console.error(`missing: ${lacking.map((need) => need.what).join(", ")}`);
    console.error("  hint: this machine has no apt-get; install these by its own means");
    process.exit(1);
  }
  const options = { env: { ...plainEnv, DEBIAN_FRONTEND: "noninteractive" }, timeoutMs: 1_200_000 };
  console.error(`installing ${[...new Set(lacking.map((need) => need.package))].join(", ")}`);
  await run([...sudo, "apt-get", "update"], options);
  await run([...sudo, ...remedy(lacking)], options);
}
