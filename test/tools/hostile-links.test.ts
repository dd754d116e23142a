import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { initramfsInputs } from "../../src/boot/initramfs-inputs.ts";
import { throwawaySigner } from "../../src/boot/self-signed.ts";
import { withInitramfs } from "../../src/operator/initramfs-cache.ts";
import { makeMountPoints } from "../../src/operator/layers.ts";
import { leafPaths } from "../../src/operator/leaves.ts";
import { packTree } from "../../src/operator/tree-output.ts";
import { installLeaves } from "../../src/steps/install-leaves.ts";
import { allSteps } from "../../src/steps/registry.ts";
import type { StepContext } from "../../src/steps/step.ts";
import { stepData } from "../../src/steps/step.ts";
import { treeDelta } from "../../src/storage/tree-delta.ts";
import { settleTimes, settleTree } from "../../src/storage/tree-usage.ts";
import { watchTrees } from "../../src/tree/walk.ts";
import { sha256 } from "../../src/util/digest.ts";
import { Secret } from "../../src/util/secret.ts";
import { makeDeb } from "../helpers/deb.ts";
import {
  canary,
  fakeContext,
  fillTree,
  leaks,
  plant,
  plants,
  uuid,
  watchState,
} from "../helpers/hostile-tree.ts";

interface Place {
  readonly dir: string;
  readonly root: string;
}

type Work = (place: Place) => Promise<unknown> | unknown;

/** Thousands of small trees are made and thrown away. */
const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
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
function packages(kind: "bootstrap-tree" | "install-packages"): Work {
  return async ({ dir, root }) => {
    const data = [{ name: "./etc/" }, { name: "./etc/new.conf", content: "x" }];
    const made = ["dpkg", "tool2", "linux-image-x"].map((name, index) =>
      makeDeb(name, {
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
    const chroot: StepContext["chroot"] = async (argv) => {
      const lines = locked.map(({ name }) => `${name} 1 ii \n`).join("");
      return { code: 0, stdout: argv[0] === "dpkg-query" ? lines : "", stderr: "" };
    };
    const packagePath: StepContext["packagePath"] = (one) => {
      const outside = made[locked.findIndex(({ sha256 }) => sha256 === one.sha256)]!.file;
      return { outside, inside: outside };
    };
    const context = fakeContext(dir, root, { chroot, packagePath });
    const wanted = kind === "bootstrap-tree" ? locked.slice(0, 1) : locked;
    await allSteps.get(kind)!.run({ packages: wanted }, context);
  };
}

const keys = {
  key: "key",
  certificate: signer.certificate.toString(),
  alsoTrusted: [],
  enroll: "off",
  epoch,
};
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
const file = (path: string, mode = "0644") => ({ path, content: "new", mode });

/** Everything that works on a tree in which scripts have run. */
const works: Record<string, Work> = {
  "install-packages": packages("install-packages"),
  "bootstrap-tree": packages("bootstrap-tree"),
  "finish-tree": step("finish-tree", () => ({ definition: "d", epoch })),
  "make-users": step("make-users", () => ({ users: [user] })),
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
  "verify-boot": async (place) => {
    await step("install-grub-efi", ({ dir }) => ({ esp: join(dir, "esp"), shim: true, config: uuid }))(place);
    await step("verify-boot", ({ dir }) => ({
      ...{ rootUuid: uuid, cmdline: [`root=UUID=${uuid}`], modules: ["ext4"], menu: { uuid, linksIn: "/" } },
      ...{ esp: { path: join(dir, "esp"), loader: "grub", sizeBytes: 2 ** 30 }, overlays: ["/srv/data"] },
      rootAt: { image: join(dir, "disk"), offsetBytes: 0 },
    }))(place);
  },
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
  "the mount points": ({ root }) =>
    makeMountPoints(root, {
      filesystems: [{ mount: "/srv/data", below: ["/srv/data/more"] }],
    } as unknown as Parameters<typeof makeMountPoints>[1]),
  "the look for what an initramfs is made of": ({ root }) => initramfsInputs(root, root)("/usr/lib/x.so.1"),
  "the paths of leaves": ({ root }) => {
    const leaf = { ...makeDeb("tool").locked, sha256: "0".repeat(64) };
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
  "the packing of the tree": async ({ dir, root }) => {
    const context = fakeContext(dir, root);
    const options = { context, work: dir, epoch, compress: undefined, definition: "d", hostname: "h" };
    await packTree("tar", { ...options, moveable: false });
  },
};

/** These walk through the whole tree, by ways of their own: every path of it is one that they come to. */
const everywhere = ["the settling of times", "the changes to a tree"];
const walked = ["absolute", "to a file"] as const;

/** Steps that know no path of a tree: disks, devices, image files; or that only run programs of it. */
const withoutTree = [
  ...[
    "ask-machine",
    "ask-tang",
    "btrfs-subvolumes",
    "check-kept",
    "close-array",
    "close-disks",
    "close-group",
  ],
  ...[
    "close-luks",
    "install-grub",
    "make-storage",
    "make-verity",
    "mkfs-ext4",
    "mkfs-vfat",
    "name-boot-entry",
  ],
  ...["open-array", "open-group", "open-luks", "partition-disk", "partition-image", "patch-ext4-image"],
  ...["leave-group", "look-at-group", "make-locale"],
  ...["remove-volumes", "set-services", "swap-file-image", "swap-partition-image"],
];
/** Those that need real disks, a mount or a door; what they ask of a tree is src/tree's. */
const elsewhere = ["enroll-clevis", "install-leaves", "mount", "provision", "unmount", "unpack-tree"];

function prepared(): Place & { readonly outside: string } {
  const dir = join(mkdtempSync(join(memory, "imgbuild-links-")), "work");
  const [root, outside] = [join(dir, "tree"), join(dirname(dir), "outside")];
  for (const path of [root, outside, join(dir, "esp"), join(dir, "files/etc/deep")])
    mkdirSync(path, { recursive: true });
  writeFileSync(join(dir, "files/etc/deep/placed"), "placed");
  fillTree(root);
  const superblock = Buffer.alloc(2 ** 20);
  superblock.writeUInt16LE(0xef53, 1024 + 0x38);
  Buffer.from(uuid.replaceAll("-", ""), "hex").copy(superblock, 1024 + 0x68);
  writeFileSync(join(dir, "disk"), superblock);
  return { dir, root, outside };
}

/** Every path of the tree that the work asks for, with the directories in which each lies. */
async function asked(work: Work): Promise<string[]> {
  const place = prepared();
  const paths = new Set<string>();
  const end = watchTrees((root, path) => {
    let at = relative(place.root, join(root, path));
    for (; at !== "" && at !== "." && !at.startsWith(".."); at = dirname(at)) paths.add(at);
  });
  try {
    await work(place);
  } finally {
    end();
    forget(place);
  }
  return [...paths].sort();
}

function all(): string[] {
  const place = prepared();
  const paths = readdirSync(place.root, { recursive: true, encoding: "utf8" });
  forget(place);
  return paths.sort();
}

function forget({ dir }: Place): void {
  rmSync(dirname(dir), { recursive: true, force: true });
}

describe("a link that leads out of the tree, at every path that is asked for", () => {
  it.each(Object.entries(works))(
    "changes nothing outside and brings nothing in: %s",
    { timeout: 300_000 },
    async (name, work) => {
      const paths = everywhere.includes(name) ? all() : await asked(work);
      if (name !== "the packing of the tree") expect(paths).not.toEqual([]);
      const wrong: string[] = [];
      for (const path of paths)
        for (const how of everywhere.includes(name) ? walked : plants) {
          const place = prepared();
          if (!plant(place.root, path, place.outside, how)) {
            forget(place);
            continue;
          }
          const { before, now } = watchState(place.outside);
          let said = "";
          // Most refuse.
          await Promise.resolve()
            .then(() => work(place))
            .catch((error: unknown) => {
              said = String(error);
            });
          const after = now();
          if (JSON.stringify(after) !== JSON.stringify(before)) wrong.push(`${path} ${how}: changed outside`);
          if (said.includes("is given")) wrong.push(`${path} ${how}: ${said}`);
          const leaked = leaks(place.dir);
          forget(place);
          if (leaked.length > 0) wrong.push(`${path} ${how}: ${canary} in ${leaked.join(", ")}`);
        }
      expect(wrong).toEqual([]);
    },
  );

  it("is tried with every step that knows a path of a tree", () => {
    const tried = Object.keys(works).map((name) => name.split(",")[0]!);
    expect(
      [...allSteps.keys()].filter((kind) => ![...tried, ...withoutTree, ...elsewhere].includes(kind)),
    ).toEqual([]);
  });
});
