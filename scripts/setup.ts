// Installs the Debian packages that tests, demo and local builds need; does nothing when all is there.
import { existsSync } from "node:fs";
import { $ } from "zx";
import { missing, remedy } from "../src/operator/native/doctor.ts";

const lacking = await missing(["build", "user", "vm", "tests"]);
if (lacking.length > 0) {
  if (!existsSync("/usr/bin/apt-get")) {
    console.error(`missing: ${lacking.map((need) => need.what).join(", ")}`);
    console.error("  hint: this machine has no apt-get; install these by its own means");
    process.exit(1);
  }
  const sudo = process.getuid?.() === 0 ? ["env"] : ["sudo", "env"];
  const apt = $({ stdio: ["inherit", "pipe", "inherit"], timeout: "20m" });
  console.error(`installing ${[...new Set(lacking.map((need) => need.package))].join(", ")}`);
  await apt`${sudo} DEBIAN_FRONTEND=noninteractive apt-get update`;
  await apt`${sudo} DEBIAN_FRONTEND=noninteractive ${remedy(lacking)}`;
}
