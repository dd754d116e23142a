import { describe, expect, it } from "vitest";
import { sourcesIn } from "../../helpers/checks/sources.ts";

// Programs are started in these files alone: our own tools, the operator's ssh and qemu, and what is behind the door.
const mayStart = [
  "src/cli/commands/doctor.ts",
  "src/cli/commands/secrets.ts",
  "src/cli/terminal/guest-terminal.ts",
  "src/debian/archive/index.ts",
  "src/system/door/namespace.ts",
  "src/system/files/file-lock.ts",
  "src/system/run/filter.ts",
  "src/system/run/run.ts",
  "src/system/user/user-namespace.ts",
  "src/system/files/work-directory.ts",
  "src/vm/machine/firmware.ts",
  "src/vm/machine/qemu.ts",
  "src/vm/lab/room.ts",
  "src/vm/shell/shell.ts",
];
// Nothing else leads a program of a package or a definition into its root; two make a namespace for imgbuild itself.
const mayEnter = [
  "src/system/door/door.ts",
  "src/system/door/namespace.ts",
  "src/system/user/namespace-troubles.ts",
  "src/system/user/user-namespace.ts",
  // On a host, for the base's own program; what that runs of a package goes through the door.
  "src/operator/takeover/tree-script.ts",
  // Asks a host's kernel whether it gives namespaces.
  "src/operator/inspect/probe.ts",
];
const programs = "(?:chroot|unshare|nsenter|bwrap|pivot_root|switch_root|systemd-nspawn)";
const entering = new RegExp(`(["'\`])${programs}\\1|\\b${programs}\\s+-`);

describe("what starts programs", () => {
  for (const { path, text } of sourcesIn("src"))
    it(`${path} starts no program past the door`, () => {
      if (!mayStart.includes(path)) expect(text).not.toMatch(/^import (?!type )[^;]*"node:child_process"/m);
      if (!mayEnter.includes(path)) expect(withoutNeeds(text)).not.toMatch(entering);
    });
});

/** Less what names programs and does not start them: what doctor asks for, and a hint for the user's own shell. */
function withoutNeeds(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\{ what: "\w+", |`unshare --map-root-user --map-auto`/gm, "");
}
