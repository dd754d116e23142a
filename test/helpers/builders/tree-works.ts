import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { throwawaySigner } from "../../../src/boot/efi/self-signed.ts";
import { initramfsInputs } from "../../../src/boot/initramfs-inputs.ts";
import { treeDelta } from "../../../src/disks/filesystem/tree-delta.ts";
import { settleTimes, settleTree } from "../../../src/disks/filesystem/tree-usage.ts";
import { thisMachine } from "../../../src/disks/find-disk.ts";
import { withInitramfs } from "../../../src/operator/build/initramfs-cache.ts";
import { leafPaths } from "../../../src/operator/build/scriptless-packages.ts";
import { packTree } from "../../../src/operator/output/tree-output.ts";
import { installLeaves } from "../../../src/steps/packages/install-leaves.ts";
import { makeMountPoints } from "../../../src/steps/packages/settle-packages.ts";
import { allSteps } from "../../../src/steps/registry.ts";
import type { StepContext } from "../../../src/steps/step/step.ts";
import { stepData } from "../../../src/steps/step/step.ts";
import { initramfsKeyName, rescueKeyName } from "../../../src/steps/tree/write-secrets.ts";
import { run } from "../../../src/system/run/run.ts";
import { generateSshKey } from "../../../src/transport/keys.ts";
import { Tree } from "../../../src/tree/tree.ts";
import { sha256 } from "../../../src/util/digest.ts";
import { Secret } from "../../../src/util/secret.ts";
import { makeDeb } from "./deb.ts";
import { canary, fakeContext, lookAtMounts, uuid } from "./hostile-tree.ts";
import { machineDisk } from "./machine-disk.ts";

/** A tree, and what it is made in and of. */
export interface Place {
  readonly dir: string;
  readonly root: string;
  /** Where the links lead. */
  readonly outside: string;
}

export type Work = (place: Place) => Promise<unknown> | unknown;

const epoch = 1_700_000_000;
const signer = throwawaySigner("test");

/** A step as a plan has it. */
function step(kind: string, input: (place: Place) => object, more: Partial<StepContext> = {}): Work {
  return async (place) => {
    const one = allSteps.get(kind)!;
    await one.run(one.schema.parse(input(place)), fakeContext(place.dir, place.root, more));
  };
}

/** Installs packages as a plan does, with a dpkg that says that all went well. */
function packages(kind: "bootstrap-tree" | "install-packages" | "install-leaves"): Work {
  return async ({ dir, root, outside }) => {
    const data = [
      { name: "./etc/" },
      { name: "./etc/new.conf", content: "x" },
      { name: "./etc/new.link", link: join(outside, "file") },
    ];
    const made = ["dpkg", "tool2", "linux-image-x"].map((name, index) =>
      makeDeb(name, {
        directory: dir,
        control: { preinst: "#!/bin/sh\n", triggers: "interest /etc\nactivate other\n" },
        data: [
          ...(index === 1 ? data : []),
          { name: `./usr/lib/modules/9-${name}/` },
          { name: `./usr/lib/modules/9-${name}/a.ko`, content: name },
        ],
      }),
    );
    const locked = made.map((one, index) => ({
      ...one.locked,
      bootstrap: index === 0,
      sha256: String(index).repeat(64),
    }));
    const chroot: StepContext["chroot"] = async (argv, options) => {
      lookAtMounts(root, options?.binds);
      const lines = locked.map(({ name }) => `${name} 1 ii \n`).join("");
      return { code: 0, stdout: argv[0] === "dpkg-query" ? lines : "", stderr: "" };
    };
    const packagePath: StepContext["packagePath"] = (one) => {
      const outside = made[locked.findIndex(({ sha256 }) => sha256 === one.sha256)]!.file;
      return { outside, inside: outside };
    };
    const context = fakeContext(dir, root, { chroot, packagePath });
    const wanted = kind === "bootstrap-tree" ? locked.slice(0, 1) : locked;
    const more = kind === "install-leaves" ? { leaves: ["tool2"] } : {};
    await allSteps.get(kind)!.run({ packages: wanted, ...more }, context);
  };
}

const keys = {
  key: "key",
  certificate: signer.certificate.toString(),
  alsoTrusted: [],
  enroll: "off",
  epoch,
};
/** The public half of an OpenSSH private key is looked up in it. */
const rescueSecrets = new Map([
  [rescueKeyName, new Secret("rescue", Buffer.from(generateSshKey("x").private))],
]);
const initramfsSecrets = new Map([[initramfsKeyName, new Secret("initramfs", Buffer.from("a key"))]]);
const withKey = { secrets: new Map([["key", new Secret("key", Buffer.from(signer.keyPem))]]) };
const bootLoader = ({ dir }: Place) => ({
  ...{ esp: join(dir, "esp"), cmdline: ["ro"], title: "t", timeoutSeconds: 1 },
});
const user = {
  name: "me",
  comment: "",
  shell: "/usr/bin/sh",
  groups: [],
  sudo: true,
  keys: ["ssh-ed25519 A"],
};
const mountedRoot = { type: "ext4", path: "/" };
const mountedEsp = { type: "vfat", path: "/efi" };
const file = (path: string, mode = "0644") => ({ path, content: "new", mode });

/** The base stays on the machine, out of files of this computer. */
function keepRescue(entry: object): Work {
  return async (place) => {
    const kernel = join(place.dir, "kernel");
    writeFileSync(kernel, "base");
    const input = {
      ...{ directory: "/boot/imgbuild/rescue", keys: ["ssh-ed25519 A"], port: 22, cmdline: ["ro"], ...entry },
      files: [{ name: "kernel", size: 4, sha256: sha256("base") }],
      data: { version: 1, hostname: "tree", network: {} },
    };
    await step("keep-rescue", () => input, { secrets: rescueSecrets, base: { kernel } })(place);
  };
}

/** Makes an output of the tree by the real programs. */
function packing(format: "tar" | "dir"): Work {
  return async ({ dir, root }) => {
    const context = fakeContext(dir, root, { tool: async (argv) => await run(argv) });
    const options = { context, work: dir, epoch, compress: undefined, definition: "d", hostname: "h" };
    const made = await packTree(format, { ...options, moveable: false });
    if (format === "tar" && readFileSync(made).includes(canary))
      throw new Error("the archive is given what is outside");
  };
}

/** Everything that works on a tree in which scripts have run. */
export const works: Readonly<Record<string, Work>> = {
  "install-packages": packages("install-packages"),
  "install-leaves": packages("install-leaves"),
  "bootstrap-tree": packages("bootstrap-tree"),
  "finish-tree": step("finish-tree", () => ({ definition: "d", epoch })),
  "make-users": step("make-users", () => ({ users: [user] })),
  "make-system-users": step("make-system-users", () => ({
    path: "/etc/sysusers.d/imgbuild.conf",
    content: "new",
  })),
  "write-files": step("write-files", () => ({
    files: [
      file("/etc/motd"),
      file("/bin/deep/er/file", "0755"),
      { path: "/etc/localtime", link: "../usr/share/zoneinfo/Etc/UTC" },
      { path: "/srv/made/deep", directory: true },
    ],
  })),
  "place-files": step("place-files", () => ({
    files: [{ path: "/etc/deep/placed", mode: "0644", sha256: sha256("placed") }],
  })),
  "write-secrets": step("write-secrets", () => ({
    secrets: [{ name: "token", path: "/etc/keys/token", mode: "0400", owner: "me", group: "me" }],
  })),
  "patch-files": step("patch-files", () => ({
    patches: [
      { name: "p", diff: "--- a/etc/tool.conf\n+++ b/etc/tool.conf\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n" },
    ],
  })),
  "place-host-keys": step("place-host-keys", () => ({ expected: true })),
  "sign-loader": step("sign-loader", () => keys, withKey),
  "make-initramfs": step("make-initramfs", () => ({ epoch })),
  "check-tree": step("check-tree", () => ({
    expected: [
      { path: ["x"], kind: "time zone", name: "Etc/UTC" },
      { path: ["x"], kind: "user", name: "other" },
      { path: ["x"], kind: "unit", name: "a.service" },
      { path: ["x"], kind: "program", name: "sh" },
    ],
  })),
  "install-systemd-boot": step("install-systemd-boot", bootLoader),
  "install-systemd-boot, signed": step(
    "install-systemd-boot",
    (at) => ({ ...bootLoader(at), secureBoot: keys }),
    withKey,
  ),
  "install-systemd-boot, in the tree": step("install-systemd-boot", (at) => ({
    ...bootLoader(at),
    esp: join(at.root, "efi"),
  })),
  "install-systemd-boot, unified": step("install-systemd-boot", (at) => ({
    ...bootLoader(at),
    layout: "uki",
  })),
  "install-grub-efi": step("install-grub-efi", ({ root }) => ({
    esp: join(root, "efi"),
    shim: true,
    config: "c",
  })),
  "write-rescue": step("write-rescue", () => ({
    ...{ directory: "/var/cache/imgbuild/abc", on: mountedRoot, files: [] },
    config: { path: "/boot/grub/grub.cfg", on: mountedRoot, content: "set rescue=yes\n" },
    entry: { loader: "grub", uuid, directory: "/x", path: "/boot/grub/rescue.cfg" },
  })),
  "write-rescue, on an ESP": step("write-rescue", () => ({
    ...{ directory: "/efi/imgbuild/rescue", on: mountedEsp, files: [] },
    config: { path: "/efi/loader/loader.conf", on: mountedEsp, content: "default x\n" },
    entry: { loader: "systemd-boot", directory: "/imgbuild/rescue", entries: "/efi", esp: mountedEsp },
  })),
  "keep-rescue": keepRescue({ entry: { loader: "grub", uuid, directory: "/x" } }),
  "keep-rescue, on an ESP": async (place) => {
    const directory = "/imgbuild/rescue";
    const entry = { loader: "systemd-boot", directory };
    await keepRescue({ on: join(place.root, "efi"), directory, entry })(place);
  },
  "place-initramfs-key": async (place) => {
    // As the program does, to which the tree is all there is.
    const chroot: StepContext["chroot"] = async (argv) => {
      new Tree(place.root).write(argv.at(-1)!, "a key");
      return { code: 0, stdout: "", stderr: "" };
    };
    await step("place-initramfs-key", () => ({ expected: true }), { secrets: initramfsSecrets, chroot })(
      place,
    );
  },
  flush: step("flush", () => ({ paths: ["/", "/srv/data"] })),
  "switch-entry": step("switch-entry", () => ({
    ...{ flush: [mountedRoot], on: mountedRoot, wipe: "/etc/passwd", remove: ["/etc/group"] },
    config: { path: "/etc/hostname", on: mountedRoot, from: "", to: "" },
  })),
  "verify-boot": async (place) => {
    await step("install-grub-efi", ({ dir }) => ({ esp: join(dir, "esp"), shim: true, config: uuid }))(place);
    await step("verify-boot", ({ dir }) => ({
      ...{ rootUuid: uuid, cmdline: [`root=UUID=${uuid}`], modules: ["ext4"], menu: { uuid, linksIn: "/" } },
      ...{ esp: { path: join(dir, "esp"), loader: "grub", sizeBytes: 2 ** 30 }, overlays: ["/srv/data"] },
      rootAt: { image: join(dir, "disk"), offsetBytes: 0 },
    }))(place);
  },
  "make-locale": step("make-locale", () => ({})),
  "set-services": step("set-services", () => ({ enable: ["a.service"], disable: [], mask: [] })),
  provision: step("provision", () => ({
    ...{ name: "script", script: "#!/bin/sh\n", values: {}, files: {}, network: true },
    ...{ timeoutSeconds: 60, epoch },
  })),
  "restore-data": async (place) => {
    const machine = { ...thisMachine, run: join(place.dir, "run") };
    const input = { program: "/bin/tool", secrets: ["token"], paths: ["/srv"] };
    await step("restore-data", () => input, { machine })(place);
  },
  "enroll-clevis": step("enroll-clevis", () => ({
    ...{ device: { disk: machineDisk() }, secret: "token", pin: "tpm2", config: "{}" },
  })),
  mount: step("mount", () => ({ device: { disk: machineDisk() }, type: "ext4", path: "/srv/data/more" })),
  unmount: async (place) => {
    const ends = ["copy", "empty"]
      .map((name) => join(place.outside, name))
      .filter((path) => existsSync(path));
    const inside = join(place.root, "srv/data");
    const mounted = [
      ...ends,
      ...(lstatSync(inside, { throwIfNoEntry: false })?.isDirectory() ? [inside] : []),
    ];
    for (const path of mounted) execFileSync("mount", ["--bind", path, path]);
    try {
      await step("unmount", () => ({ paths: ["/srv/data"] }))(place);
    } finally {
      for (const path of mounted.reverse()) execFileSync("umount", [path]);
    }
  },
  "unpack-tree": step("unpack-tree", () => ({ archive: machineDisk() }), {
    tool: async (argv) => await run(argv),
  }),
  "keep-base": step("keep-base", () => ({ directory: "/var/cache/imgbuild/abc", files: [] })),
  "swap-file": step("swap-file", () => ({ path: "/swap/deep/file", sizeBytes: 4096 * 16, uuid })),
  "mkfs-ext4-image": step("mkfs-ext4-image", ({ dir, root }) => ({
    ...{ image: join(dir, "disk"), offsetBytes: 1024, sizeBytes: 2 ** 30, uuid, hashSeed: uuid, epoch },
    ...{ directory: join(root, "srv/data"), mount: "/srv/data", without: [join(root, "srv/data/more")] },
    reservedBytes: 0,
  })),
  "mkfs-ext4-image, of the whole": step("mkfs-ext4-image", ({ dir, root }) => ({
    ...{ image: join(dir, "disk"), offsetBytes: 1024, sizeBytes: 2 ** 30, uuid, hashSeed: uuid, epoch },
    ...{ directory: root, mount: "/", without: [join(root, "var"), join(root, "efi")], reservedBytes: 0 },
  })),
  "mkfs-vfat-image": step("mkfs-vfat-image", ({ dir, root }) => ({
    ...{ image: join(dir, "disk"), offsetBytes: 1024, sizeBytes: 2 ** 28, volumeId: "a", epoch },
    ...{ directory: join(dir, "esp"), mountPoint: join(root, "efi") },
  })),
  "the mount points": ({ root }) => makeMountPoints(root, ["/srv/data", "/srv/data/more"]),
  "the look for what an initramfs is made of": ({ root }) => initramfsInputs(root, root)("/usr/lib/x.so.1"),
  "the paths of leaves": ({ dir, root }) => {
    const leaf = { ...makeDeb("tool", { directory: dir }).locked, sha256: "0".repeat(64) };
    const system = [stepData(installLeaves, "x", { packages: [leaf], leaves: ["tool"] })];
    leafPaths({ system } as unknown as Parameters<typeof leafPaths>[0], root);
  },
  "the initramfs that is kept": async ({ dir, root }) => {
    const layer = { directory: join(dir, "layer"), tree: join(dir, "layer/tree") };
    mkdirSync(layer.tree, { recursive: true });
    const steps = [{ kind: "make-initramfs", doing: "x" }];
    const copy = { tree: root, upper: undefined, close: async () => {} };
    const options = { steps, secretPaths: [], epoch, since: 0 };
    const make = async () => writeFileSync(join(dir, "made"), "");
    for (const _ of [1, 2]) await withInitramfs(layer, copy, options, make);
  },
  "the settling of times": ({ root }) => {
    settleTree(root, epoch, []);
    settleTimes(root, epoch, 0);
  },
  "the changes to a tree": ({ dir, root }) => {
    const lower = join(dir, "lower");
    mkdirSync(lower);
    for (const change of treeDelta(lower, root, { epoch, since: 0 })) {
      if (change.do !== "write" || realpathSync(change.from).startsWith(root)) continue;
      throw new Error(`the disk is given ${change.from}`);
    }
  },
  "the packing of the tree": packing("tar"),
  "the copy of the tree": packing("dir"),
};

/** These walk through the whole tree, by ways of their own: every path of it is one that they come to. */
export const everywhere = [
  ...["the settling of times", "the changes to a tree", "the packing of the tree", "the copy of the tree"],
  "unpack-tree",
];

/**
 * Steps that no tree can mislead, since they have none: what they work on is a disk, an image file or the machine. The test holds
 * that their sources take no tree.
 */
export const withoutTree: Readonly<Record<string, readonly string[]>> = {
  "the machine, or a server": ["ask-backup", "ask-machine", "ask-tang", "name-boot-entry"],
  "disks and what is on them, before anything is mounted": [
    ...["btrfs-subvolumes", "check-kept", "close-array", "close-disks", "close-group", "close-luks"],
    ...["leave-group", "look-at-group", "make-storage", "make-verity", "mkfs-ext4", "mkfs-vfat"],
    ...["open-array", "open-group", "open-luks", "partition-disk", "remove-volumes"],
  ],
  "image files, by their own paths": [
    ...["install-grub", "partition-image", "patch-ext4-image", "swap-file-image", "swap-partition-image"],
  ],
};
