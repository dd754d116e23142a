import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fetchAll } from "../../src/debian/http/fetch.ts";
import { baseTree } from "../../src/operator/base/base.ts";
import { makeLockFor, mirrorsFor } from "../../src/operator/lock/lock.ts";
import { nativeContext } from "../../src/operator/native/native-context.ts";
import { Spec } from "../../src/schema/spec.ts";
import { makeInitramfs } from "../../src/steps/boot/make-initramfs.ts";
import { bootstrapTree } from "../../src/steps/packages/bootstrap-tree.ts";
import { installPackages } from "../../src/steps/packages/install-packages.ts";
import { allSteps } from "../../src/steps/registry.ts";
import { executeSteps } from "../../src/steps/step/execute.ts";
import { stepData } from "../../src/steps/step/step.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { silentLog } from "../../src/util/log.ts";
import { treeDifferences } from "../helpers/checks/same-tree.ts";
import { mmdebstrap, preparePeer } from "../helpers/labs/mmdebstrap.ts";

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: silentLog,
  signal: new AbortController().signal,
};

const sets: readonly (readonly [what: string, install: readonly string[]])[] = [
  ["nothing but apt", ["apt"]],
  [
    "a web server with a kernel",
    [
      ...[
        "apt",
        "dbus",
        "e2fsprogs",
        "initramfs-tools",
        "linux-image-cloud-amd64",
        "nginx",
        "openssh-server",
        "sudo",
      ],
      ...["systemd-resolved", "systemd-sysv", "udev", "zstd"],
    ],
  ],
  [
    "what has many maintainer scripts",
    [
      ...[
        "apt",
        "ca-certificates",
        "ca-certificates-java",
        "dbus",
        "default-jre-headless",
        "man-db",
        "postgresql",
      ],
      ...["python3", "systemd-sysv", "udev"],
    ],
  ],
];

/** Makes the packages' tree as a build does. */
async function ourTree(
  packages: Awaited<ReturnType<typeof makeLockFor>>["packages"],
  work: string,
): Promise<string> {
  const root = join(work, "tree");
  const context = nativeContext({
    root,
    work,
    baseTree: (await baseTree(options)).tree,
    cache: options.cache,
    mirrors: {},
    proxies: {},
    files: undefined,
    secrets: new Map(),
    log: silentLog,
    signal: options.signal,
  });
  const hasKernel = packages.some(({ name }) => name.startsWith("linux-image-"));
  await executeSteps(
    [
      stepData(bootstrapTree, "unpacking", { packages: packages.filter((one) => one.bootstrap) }),
      stepData(installPackages, "installing", { packages: [...packages] }),
      ...(hasKernel ? [stepData(makeInitramfs, "making the initramfs", { epoch: 1 })] : []),
    ],
    allSteps,
    context,
  );
  return root;
}

describe("same-tree: a tree of packages", () => {
  it.each(sets)("is the one that mmdebstrap and apt make: %s", async (_what, install) => {
    const spec = Spec.parse({ hostname: "same", packages: { install } });
    const work = await mkdtemp(join(tmpdir(), "imgbuild-same-"));
    try {
      const lock = await makeLockFor(spec, options);
      const mirrors = await mirrorsFor(spec, process.env);
      const packages = join(options.cache, "packages");
      await fetchAll(lock.packages, { mirrors, dir: packages });
      const peer = await preparePeer(lock, { directory: join(work, "peer"), packages, mirrors });
      await mmdebstrap(peer, join(work, "theirs"));
      await mkdir(join(work, "ours"));
      const ours = await ourTree(lock.packages, join(work, "ours"));
      expect(treeDifferences(ours, join(work, "theirs"))).toEqual([]);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
});
