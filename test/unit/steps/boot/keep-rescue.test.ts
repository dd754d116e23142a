import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { keepRescue } from "../../../../src/steps/boot/keep-rescue.ts";
import { rescueKeyName } from "../../../../src/steps/tree/write-secrets.ts";
import { generateSshKey } from "../../../../src/transport/keys.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const names = ["kernel", "outer"] as const;
const hostKey = generateSshKey("rescue");

/** A base that runs, or one that is files of this computer. */
function bench(change: object, given: { readonly asFiles?: boolean; readonly key?: string } = {}) {
  const made = fakeMachine();
  for (const name of names) made.put(`run/imgbuild/base/${name}`, `the ${name}`);
  made.put("proc/cmdline", "console=ttyS1 imgbuild.deadman=600 imgbuild.deploy=ab\n");
  const base = Object.fromEntries(names.map((name) => [name, join(made.dir, "run/imgbuild/base", name)]));
  const { context } = stepBench({
    machine: made.machine,
    secrets: { [rescueKeyName]: given.key ?? hostKey.private },
    context: given.asFiles ? { base } : {},
  });
  mkdirSync(context.root);
  const input = {
    directory: "/boot/imgbuild/rescue",
    files: names.map((name) => ({ name, size: `the ${name}`.length, sha256: sha256(`the ${name}`) })),
    data: {
      version: 1,
      hostname: "web.example.org",
      network: { lan: { match: { name: "en*" }, dhcp: "yes" } },
    },
    keys: ["ssh-ed25519 AAAA admin"],
    port: 2222,
    entry: { loader: "grub", uuid: "u", directory: "/boot/imgbuild/rescue" },
    ...change,
  };
  const run = async () => await keepRescue.run(keepRescue.schema.parse(input), context);
  return { run, context, text: (path: string) => readFileSync(join(context.root, path), "latin1") };
}

describe("keep-rescue", () => {
  it("leaves the running base, what it is to know, and an entry that GRUB starts on demand", async () => {
    const { run, text } = bench({});
    await run();
    for (const name of names) expect(text(`boot/imgbuild/rescue/${name}`)).toBe(`the ${name}`);
    const config = text("boot/imgbuild/rescue/config");
    for (const part of ["imgbuild/rescue.json", "web.example.org", "ssh-ed25519 AAAA admin", "2222\n"])
      expect(config).toContain(part);
    expect(config).toContain(hostKey.public);
    expect(text("boot/grub/custom.cfg")).toContain(
      "linux /boot/imgbuild/rescue/kernel console=ttyS1 imgbuild.hostname=web-rescue\n",
    );
    expect(text("boot/grub/grubenv")).toHaveLength(1024);
  });

  it("shows its host key to root alone", async () => {
    const { run, context } = bench({});
    await run();
    const mode = (path: string) => statSync(join(context.root, path)).mode & 0o777;
    expect(mode("boot/imgbuild/rescue")).toBe(0o700);
    expect(mode("boot/imgbuild/rescue/config")).toBe(0o600);
  });

  it("writes no file anew that a build has begun with", async () => {
    const { run, context } = bench({});
    const kernel = join(context.root, "boot/imgbuild/rescue/kernel");
    mkdirSync(join(kernel, ".."), { recursive: true });
    writeFileSync(kernel, "THE KERNEL");
    await run();
    expect(readFileSync(kernel, "utf8")).toBe("THE KERNEL");
  });

  it("is in an image of files of this computer, with the image's consoles, on the ESP", async () => {
    const esp = join(tempDir(), "esp");
    const { run } = bench(
      {
        ...{ directory: "/imgbuild/rescue", on: esp, cmdline: ["console=tty0"] },
        entry: { loader: "systemd-boot", directory: "/imgbuild/rescue" },
      },
      { asFiles: true },
    );
    await run();
    expect(readFileSync(join(esp, "imgbuild/rescue/outer"), "utf8")).toBe("the outer");
    expect(readFileSync(join(esp, "loader/entries/imgbuild-base.conf"), "utf8")).toContain(
      "options    console=tty0 imgbuild.hostname=web-rescue\n",
    );
  });

  it("refuses what is no key of the kind that it can pin", async () => {
    await expect(bench({}, { key: "no key" }).run()).rejects.toThrow(/no OpenSSH key of type ed25519/);
  });
});
