import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { emptyEnvironment, grubSwitch, readsCustomMenu, rescuingMenu } from "../../src/boot/rescue-entry.ts";
import { startOnceScripts } from "../../src/operator/lasting/start-once.ts";
import { keepRescue } from "../../src/steps/boot/keep-rescue.ts";
import { switchEntry } from "../../src/steps/boot/switch-entry.ts";
import { writeRescue } from "../../src/steps/boot/write-rescue.ts";
import { rescueKeyName } from "../../src/steps/tree/write-secrets.ts";
import { run } from "../../src/system/run/run.ts";
import { generateSshKey } from "../../src/transport/keys.ts";
import { scriptArgv } from "../../src/transport/script.ts";
import { sha256 } from "../../src/util/digest.ts";
import { fakeMachine } from "../helpers/fakes/fake-machine.ts";
import { stepBench } from "../helpers/fakes/step-bench.ts";
import { workshop } from "../helpers/labs/native.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const menu = "/boot/grub/grub.cfg";
const directory = "/var/cache/imgbuild/d";

/** A filesystem in a file, mounted; `read` gives a file of it as GRUB sees it on the disk at that moment, without the journal. */
async function disk(type: "ext4" | "xfs") {
  const { work, context } = await workshop();
  const [image, now] = ["disk", "now"].map((name) => join(work, name)) as [string, string];
  const root = join(tempDir(), "root");
  writeFileSync(image, "");
  truncateSync(image, 400 * 2 ** 20);
  await context.tool([`mkfs.${type}`, "-q", image]);
  mkdirSync(root);
  await run(["mount", "-o", "loop", image, root]);
  onTestFinished(async () => void (await run(["umount", root])));
  const read = async (path: string) => {
    // What has reached the disk: the filesystem stays mounted, as at a power cut.
    await run(["cp", "--sparse=always", "--", image, now]);
    const { code, stdout } = await run(["grub-fstest", now, "cat", `(loop0)${path}`], { accept: [0, 1] });
    return code === 0 ? stdout : undefined;
  };
  return { root, read };
}

it.each(["ext4", "xfs"] as const)(
  "GRUB sees the base at once, and the new system from the switch on, on a disk that is cut off at that moment: %s",
  async (type) => {
    const { root, read } = await disk(type);
    const { put, machine } = fakeMachine();
    const names = ["kernel", "outer", "kit"];
    for (const name of names) put(`run/imgbuild/base/${name}`, `the ${name}`);
    for (const name of ["deploy.json", "journal.jsonl"]) put(`run/imgbuild/${name}`, name);
    for (const name of ["host_key", "host_key.pub", "authorized_keys", "port"])
      put(`run/imgbuild/ssh/${name}`, name);
    put("proc/cmdline", "console=ttyS0\n");
    const { context, said } = stepBench({
      machine,
      root,
      context: { tool: async (argv, options) => await run(argv, options) },
    });
    const on = { type, path: "/" };
    const content = rescuingMenu("menuentry x {\n}\n");
    const entry = "/boot/grub/imgbuild-rescue.cfg";
    await writeRescue.run(
      writeRescue.schema.parse({
        ...{ directory, on, config: { path: menu, on, content } },
        files: names.map((name) => ({ name, size: `the ${name}`.length, sha256: sha256(`the ${name}`) })),
        entry: { loader: "grub", uuid: "u", directory, path: entry },
      }),
      context,
    );
    expect(said).toEqual([]);
    expect(await read(menu)).toBe(content);
    expect(await read(entry)).toContain(`linux ${directory}/kernel`);
    expect(await read(`${directory}/kernel`)).toBe("the kernel");
    expect(await read(`${directory}/deploy`)).toContain("imgbuild/deploy.json");
    // What a build writes meanwhile.
    for (const name of ["a", "b", "c"]) {
      mkdirSync(join(root, "usr", name), { recursive: true });
      writeFileSync(join(root, "usr", name, "file"), Buffer.alloc(2 ** 20, name));
    }
    expect((await read(menu))?.startsWith(grubSwitch.rescue)).toBe(true);
    await switchEntry.run(
      switchEntry.schema.parse({
        ...{ flush: [on], on, wipe: `${directory}/deploy`, remove: [entry, `${directory}/carried`] },
        config: { path: menu, on, from: grubSwitch.rescue, to: grubSwitch.system },
      }),
      context,
    );
    expect(await read(menu)).toBe(content.replace(grubSwitch.rescue, grubSwitch.system));
    expect(await read("/usr/b/file")).toBe("b".repeat(2 ** 20));
    expect(await read(`${directory}/kernel`)).toBe("the kernel");
    expect(await read(`${directory}/deploy`)).toBeUndefined();
    expect(readFileSync(join(root, dirname(menu), "grub.cfg"), "utf8")).toContain(grubSwitch.system);
  },
);

it.each(["ext4", "xfs"] as const)(
  "GRUB sees the base that stays, with its entry, and the wish to start it once as soon as it is made: %s",
  async (type) => {
    const { root, read } = await disk(type);
    const { put, machine } = fakeMachine();
    const names = ["kernel", "outer"];
    for (const name of names) put(`run/imgbuild/base/${name}`, `the ${name}`);
    put("proc/cmdline", "console=ttyS0 imgbuild.deadman=600\n");
    const { context } = stepBench({
      ...{ machine, root },
      secrets: { [rescueKeyName]: generateSshKey("rescue").private },
    });
    const kept = "/boot/imgbuild/rescue";
    await keepRescue.run(
      keepRescue.schema.parse({
        directory: kept,
        files: names.map((name) => ({ name, size: `the ${name}`.length, sha256: sha256(`the ${name}`) })),
        data: { version: 1, hostname: "web", network: {} },
        ...{ keys: ["ssh-ed25519 AAAA"], port: 22 },
        entry: { loader: "grub", uuid: "u", directory: kept },
      }),
      context,
    );
    writeFileSync(join(root, menu), readsCustomMenu);
    // As the last step of a deploy flushes it.
    await run(["sync", "--file-system", root]);
    await run(["fsfreeze", "--freeze", root]);
    await run(["fsfreeze", "--unfreeze", root]);
    const custom = await read("/boot/grub/custom.cfg");
    expect(custom).toContain(`linux ${kept}/kernel console=ttyS0 imgbuild.hostname=web-rescue\n`);
    expect(await read(`${kept}/config`)).toContain("imgbuild/ssh/host_key");
    expect(await read("/boot/grub/grubenv")).toBe(emptyEnvironment());
    // GRUB's own checker takes the language of both files.
    for (const file of [menu, "/boot/grub/custom.cfg"]) await run(["grub-script-check", join(root, file)]);
    const ask = async () => await run(scriptArgv(startOnceScripts.grub, [root]));
    await ask();
    const asked = (await read("/boot/grub/grubenv"))!;
    expect(asked).toHaveLength(1024);
    expect(asked).toMatch(/^# GRUB Environment Block\nnext_entry=imgbuild-base\n#+$/);
    // GRUB's own tool reads and clears it, as GRUB does; what others have there stays.
    const edit = async (...words: string[]) =>
      (await run(["grub-editenv", join(root, "boot/grub/grubenv"), ...words])).stdout;
    await edit("set", "saved_entry=x");
    await edit("unset", "next_entry");
    await ask();
    expect(await edit("list")).toBe("saved_entry=x\nnext_entry=imgbuild-base\n");
  },
);

it("a block of variables that is not GRUB's is left alone", async () => {
  const root = tempDir();
  mkdirSync(join(root, "boot/grub"), { recursive: true });
  writeFileSync(join(root, "boot/grub/grubenv"), "short");
  const { code, stderr } = await run(scriptArgv(startOnceScripts.grub, [root]), { accept: [0, 1] });
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("is no block of GRUB's"),
  });
  expect(readFileSync(join(root, "boot/grub/grubenv"), "utf8")).toBe("short");
});

it("systemd-boot's variable names the entry, in UTF-16 with an end", async () => {
  const root = tempDir();
  const directory = join(root, "sys/firmware/efi/efivars");
  mkdirSync(directory, { recursive: true });
  await run(scriptArgv(startOnceScripts["systemd-boot"], [root]));
  const bytes = readFileSync(join(directory, "LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"));
  expect(bytes.readUInt32LE(0)).toBe(7);
  expect(bytes.subarray(4).toString("utf16le")).toBe("imgbuild-base.conf\0");
});
