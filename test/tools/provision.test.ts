import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { buildImage } from "../../src/operator/build/image.ts";
import { definitionDigest } from "../../src/operator/definition/digest.ts";
import { readFiles } from "../../src/operator/definition/files.ts";
import { makeLockFor, mirrorsFor } from "../../src/operator/lock/lock.ts";
import { configureSteps } from "../../src/operator/plan/configure.ts";
import type { Lock } from "../../src/schema/lock.ts";
import type { StepData } from "../../src/schema/plan.ts";
import { Spec, type SpecInput } from "../../src/schema/spec.ts";
import { chrootRun } from "../../src/system/door/chroot.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { sha256 } from "../../src/util/digest.ts";
import { silentLog } from "../../src/util/log.ts";
import { root } from "../helpers/builders/storage.ts";
import { workshop, writableBase } from "../helpers/labs/native.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const epoch = 1_750_000_000;
const step = (script: string, more: object = {}) => ({
  name: "test",
  script: `#!/bin/sh -eu\n${script}\n`,
  epoch,
  ...more,
});

describe("a script", () => {
  it("sees its declared inputs and the tree, and nothing of who runs it", async () => {
    const tree = await writableBase();
    const { run: execute } = await workshop({ root: tree });
    const own = process.umask(0o077);
    process.env.IMGBUILD_TEST_CANARY = "canary";
    try {
      await execute(
        "provision",
        step(
          [
            "exec > /srv/seen",
            "env | sort; umask; pwd; id -u; hostname; cat; echo $#",
            'cat "$IMGBUILD_INPUTS/a/b"; od -An -tx1 "$IMGBUILD_INPUTS/bytes"',
            "ls /run/imgbuild /tmp /dev/shm /sys",
            "ls /sys/class/net 2>/dev/null || true; tail -n +3 /proc/net/dev | grep -vc ' lo:' || true",
            "touch /tmp/left /run/left; sleep 300 &",
          ].join("\n"),
          {
            values: { SITE: "example.org", ODD: "a 'b' $c" },
            files: { "a/b": "text\n", bytes: { base64: "AP8=" } },
          },
        ),
      );
    } finally {
      delete process.env.IMGBUILD_TEST_CANARY;
      process.umask(own);
    }
    const seen = readFileSync(join(tree, "srv/seen"), "utf8").split("\n");
    expect(seen).toEqual([
      "HOME=/root",
      "IMGBUILD_INPUTS=/run/imgbuild/provision/files",
      "LC_ALL=C.UTF-8",
      "ODD=a 'b' $c",
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "PWD=/",
      "SITE=example.org",
      `SOURCE_DATE_EPOCH=${epoch}`,
      "TZ=UTC",
      "0022",
      "/",
      "0",
      readFileSync(join(tree, "etc/hostname"), "utf8").trim(),
      "0",
      "text",
      " 00 ff",
      "/dev/shm:",
      "",
      "/run/imgbuild:",
      "provision",
      "",
      "/sys:",
      "",
      "/tmp:",
      "0",
      "",
    ]);
    for (const path of ["tmp", "run"]) expect(readdirSync(join(tree, path))).toEqual([]);
  });

  it("that fails shows the end of what it said, on both outputs and in order", async () => {
    const { run: execute } = await workshop({ root: await writableBase() });
    const noisy = step("for i in $(seq 60); do echo line $i; done; echo bad >&2; exit 3");
    const failed = await execute("provision", noisy).catch((error: Error) => error.message);
    expect(failed).toMatch(/^running provision: the script test exited 3\n/);
    expect(failed).toMatch(/\nline 60\n/);
    expect(failed).toMatch(/\nbad(\n|$)/);
    expect(failed).not.toMatch(/\nline 10\n/);
  });

  it("that hangs is ended with all that it started, within its time (F15)", async () => {
    const { run: execute } = await workshop({ root: await writableBase() });
    const began = Date.now();
    const mark = `imgbuild-hang-${process.pid}`;
    const hanging = step(`echo waiting; (exec -a ${mark} sleep 300) & trap '' TERM; sleep 300`, {
      timeoutSeconds: 2,
    }).script.replace("#!/bin/sh -eu", "#!/bin/bash");
    await expect(execute("provision", { ...step(""), script: hanging, timeoutSeconds: 2 })).rejects.toThrow(
      /the script test did not end within 2 s\nwaiting$/,
    );
    expect(Date.now() - began).toBeLessThan(60_000);
    const words = readdirSync("/proc").flatMap((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      } catch {
        return [];
      }
    });
    expect(words).not.toContain(mark);
  });

  it("that wants the network without saying so fails with a hint, and reaches it when it says so", async () => {
    const server = createServer((_request, response) => response.end("page\n"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const tree = await writableBase();
      const { run: execute } = await workshop({ root: tree });
      const get = `fetch("http://127.0.0.1:" + process.argv[2]).then((r) => r.text()).then((t) => require("fs").writeFileSync("/srv/page", t)).catch((e) => { console.error(String(e.cause ?? e)); process.exit(1); });`;
      const fetching = (network: boolean) =>
        execute("provision", {
          ...step(`exec node "$IMGBUILD_INPUTS/get.cjs" ${port}`, { files: { "get.cjs": get } }),
          network,
        });
      await expect(fetching(false)).rejects.toMatchObject({
        message: expect.stringMatching(
          /^running provision: the script test exited 1\n.*(ENETUNREACH|ECONNREFUSED|EADDRNOTAVAIL)/s,
        ),
      });
      await fetching(true);
      expect(readFileSync(join(tree, "srv/page"), "utf8")).toBe("page\n");
      expect(readdirSync(join(tree, "etc"))).not.toContain("resolv.conf");
    } finally {
      server.close();
    }
  });

  it("that fills the disk fails (F15) with a hint, and the tree's owner is told where", async () => {
    const tree = await writableBase();
    const { run: execute } = await workshop({ root: tree });
    await run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", join(tree, "mnt")]);
    onTestFinished(async () => void (await run(["umount", join(tree, "mnt")])));
    const filling = step("head -c 100M /dev/zero > /dev/shm/x; head -c 1M /dev/zero > /mnt/x");
    await expect(execute("provision", filling)).rejects.toThrow(/No space left on device/);
  });
});

describe("patches and scripts in a deploy", () => {
  it("are the same steps, done by the base on the new system", async () => {
    const tree = await writableBase();
    const dir = tempDir();
    writeFileSync(join(tree, "etc/patched"), "one\ntwo\n");
    const spec = Spec.parse({
      hostname: "target",
      patches: [{ name: "p", diff: "--- a/etc/patched\n+++ b/etc/patched\n@@ -2 +2 @@\n-two\n+2\n" }],
      templates: { "/etc/made": { text: "{{a}}\n", values: { a: 1 } } },
      provision: [
        {
          name: "join",
          script:
            '#!/bin/sh -eu\ncat /etc/patched /etc/made "$IMGBUILD_INPUTS/x" > /srv/joined\nhostname >> /srv/joined\n',
          files: { x: "input\n" },
        },
      ],
    });
    const steps = configureSteps(spec, {
      ...{
        storage: { files: [], directories: [] },
        mirrors: {},
        packages: new Set<string>(),
        identity: "deploy",
        epoch,
      },
      files: { files: new Map(), links: [] },
    });
    const doOnTarget = async (plan: readonly StepData[]) => {
      writeFileSync(join(dir, "steps.json"), JSON.stringify(plan));
      const enter =
        'mount -t tmpfs none /mnt && mkdir /mnt/target && mount --rbind "$1" /mnt/target && shift && exec "$@"';
      const program = [
        process.execPath,
        "--import",
        "tsx",
        "test/helpers/labs/base-steps.ts",
        join(dir, "steps.json"),
      ];
      return await run(["unshare", "--mount", "sh", "-c", enter, "sh", tree, ...program], { accept: [0, 1] });
    };
    expect(await doOnTarget(steps)).toMatchObject({ code: 0 });
    expect(readFileSync(join(tree, "srv/joined"), "utf8")).toBe("one\n2\n1\ninput\ntarget\n");
    const failed = await doOnTarget(steps.filter(({ kind }) => kind === "patch-files"));
    expect(failed).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/p does not apply: .*line 2 is "2"/),
    });
  });
});

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: silentLog,
  signal: new AbortController().signal,
};

describe("a definition with patches, templates and scripts", () => {
  let cache: string;
  let lock: Lock;
  const conffile = "/etc/debconf.conf";
  const packaged = {
    hostname: "edited",
    packages: { install: ["apt", "systemd-sysv"] },
    storage: {
      disks: {
        system: { match: { serial: "S" }, imageSize: "1GiB", table: { type: "gpt", partitions: [root] } },
      },
    },
  } as SpecInput;
  beforeAll(async () => {
    cache = mkdtempSync(join(tmpdir(), "imgbuild-provision-test-"));
    for (const name of ["packages", "index", "base"]) {
      mkdirSync(join(options.cache, name), { recursive: true });
      symlinkSync(join(options.cache, name), join(cache, name));
    }
    lock = await makeLockFor(Spec.parse(packaged), options);
  });
  afterAll(() => rmSync(cache, { recursive: true, force: true }));

  const built = async (input: SpecInput, format: "raw" | "dir" | "tar", where = cache) => {
    const spec = Spec.parse(input);
    const files = readFiles(undefined);
    const to = join(tempDir(), "out");
    const inputs = {
      ...{ spec, lock, files, filesDir: undefined, secrets: undefined },
      definition: definitionDigest(spec, lock, files),
      mirrors: await mirrorsFor(spec, process.env),
    };
    await buildImage(inputs, to, format, { ...options, cache: where });
    return to;
  };
  /** The packaged file with one line more, as a diff. */
  const diffOf = async (tree: string) => {
    const dir = tempDir();
    await run([
      "sh",
      "-c",
      '{ echo "# ours"; cat "$1"; } > "$2"',
      "sh",
      join(tree, conffile),
      join(dir, "new"),
    ]);
    const labels = ["--label", `a${conffile}`, "--label", `b${conffile}`];
    const argv = ["diff", "-u", ...labels, join(tree, conffile), join(dir, "new")];
    return (await run(argv, { accept: [1] })).stdout;
  };
  const edited = (diff: string, change: Partial<SpecInput> = {}): SpecInput => ({
    ...packaged,
    patches: [{ name: "debconf.diff", diff }],
    templates: { "/etc/site.conf": { text: "port={{port}}\n", values: { port: 80 }, mode: "0640" } },
    provision: [
      {
        name: "first",
        script: "#!/bin/sh -eu\ncat /etc/site.conf > /srv/first\ndate > /srv/when\nrm /etc/issue\n",
      },
      {
        name: "second",
        script: `#!/bin/sh -eu\ncat /srv/first > /srv/second\necho "$WORD" >> /srv/second\n`,
        values: { WORD: "one" },
      },
    ],
    ...change,
  });

  it("gets them all, dpkg knows what is changed, and only what follows a change is done again", async () => {
    await built(packaged, "raw");
    const [layer] = readdirSync(join(cache, "tree"));
    const plain = join(cache, "tree", layer!, "tree");
    const diff = await diffOf(plain);
    const kept = () =>
      readdirSync(join(cache, "tree", layer!))
        .filter((name) => name.startsWith("upper-"))
        .sort();
    const tree = await built(edited(diff), "dir");
    expect(kept()).toHaveLength(2);
    const read = (path: string) => readFileSync(join(tree, path), "utf8");
    expect(read(conffile)).toMatch(/^# ours\n/);
    expect([read("etc/site.conf"), read("srv/second")]).toEqual(["port=80\n", "port=80\none\n"]);
    expect(readdirSync(join(tree, "etc"))).not.toContain("issue");
    // An upgrade of the package would ask, as for any file that an administrator has edited.
    const inside = async (...argv: string[]) => (await chrootRun(tree, argv)).stdout;
    expect(await inside("sh", "-c", "dpkg --verify debconf || true")).toMatch(
      /^\?\?5\?{6} c \/etc\/debconf\.conf$/m,
    );
    const conffiles = ["dpkg-query", "--show", "--showformat", "$" + "{Conffiles}\\n", "debconf"];
    const before = (await chrootRun(plain, conffiles)).stdout;
    expect(await inside(...conffiles)).toBe(before);

    // The time at which a script ran stays in what it wrote: it ran once, for two builds.
    const when = read("srv/when");
    const [one, two] = edited(diff).provision!;
    const changed = { ...two!, values: { WORD: "two" } };
    const other = await built(edited(diff, { provision: [one!, changed] }), "dir");
    expect(readFileSync(join(other, "srv/second"), "utf8")).toBe("port=80\ntwo\n");
    expect(readFileSync(join(other, "srv/when"), "utf8")).toBe(when);
    expect(kept()).toHaveLength(3);
    const template = { "/etc/site.conf": { text: "port={{port}}\n", values: { port: 81 } } };
    const anew = await built(edited(diff, { templates: template }), "dir");
    expect(readFileSync(join(anew, "srv/first"), "utf8")).toBe("port=81\n");
    expect(readFileSync(join(anew, "srv/when"), "utf8")).not.toBe(when);
  });

  it("is not built when a patch does not fit, and file, hunk and line are told", async () => {
    const diff = "--- a/etc/debconf.conf\n+++ b/etc/debconf.conf\n@@ -1 +1 @@\n-# other\n+# ours\n";
    const failed = await built(edited(diff), "dir").catch((error: Error) => error);
    expect(failed).toMatchObject({
      message: expect.stringMatching(
        /debconf\.diff does not apply: \/etc\/debconf\.conf, hunk 1 \(@@ -1 \+1 @@\): line 1 is ".*", the patch expects "# other"$/,
      ),
      hint: expect.stringMatching(/make the patch anew/),
    });
    const gone = diff.replaceAll("debconf.conf", "nothing.conf");
    await expect(built(edited(gone), "dir")).rejects.toThrow(/the tree has no \/etc\/nothing\.conf/);
  });

  it("is the same whether its scripts' results are in the cache or not", async () => {
    const steady = {
      ...packaged,
      provision: [
        {
          name: "one",
          script:
            "#!/bin/sh -eu\nmkdir /srv/a\necho x > /srv/a/b\nrm -r /usr/share/bug /etc/issue\nmkdir /usr/share/bug\nln -s b /srv/a/c\nchmod 4755 /srv/a/b\nuseradd --create-home bob\n",
        },
      ],
    };
    const cold = await built(steady, "raw");
    const warm = await built(steady, "raw");
    expect(sha256(readFileSync(warm))).toBe(sha256(readFileSync(cold)));
    const inside = `${warm}?offset=${2 ** 20}`;
    await run(["e2fsck", "-f", "-n", inside]);
    expect(
      (await run(["debugfs", "-R", "ls -p /usr/share/bug", inside])).stdout.trim().split("\n"),
    ).toHaveLength(2);
  });
});
