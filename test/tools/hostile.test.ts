import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseLock } from "../../src/debian/lock/lock.ts";
import { chrootRun } from "../../src/system/door/chroot.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { makeDeb } from "../helpers/builders/deb.ts";
import { makeOutside, type Outside } from "../helpers/builders/escapes.ts";
import { environment, program } from "../helpers/labs/cli-lab.ts";
import { givePackages, makeBuilder, type TestUser } from "../helpers/labs/ordinary-user.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const buildMs = 900_000;
const everyCode = Array.from({ length: 256 }, (_, code) => code);

let user: TestUser;
let outside: Outside;
let definition: string;
/** Built by root, with what the package and the script have written. */
let tree: string;

beforeAll(async () => {
  user = await makeBuilder();
  outside = await makeOutside(user);
  definition = join(user.dir, "definition");
  tree = join(user.dir, "tree");
  mkdirSync(definition);
  const attackTo = (file: string) =>
    outside.attack.replace("$| = 1;", `open(STDOUT, ">", "/srv/${file}") or die; $| = 1;`);
  makeDeb("hostile", {
    directory: definition,
    control: { preinst: attackTo("preinst"), postinst: attackTo("postinst") },
  });
  const spec = {
    hostname: "hostile",
    packages: { install: ["hostile"], debs: ["hostile.deb"] },
    provision: [{ name: "attack", script: attackTo("provision") }],
  };
  writeFileSync(
    join(definition, "IMGBUILD.ts"),
    `import { image } from "imgbuild";\nexport default image(${JSON.stringify(spec)});\n`,
  );
  await run([program, "lock", definition], { env: environment, timeoutMs: buildMs });
  // Root's own: under the user's directory it goes with that.
  const cache = join(user.dir, "cache");
  mkdirSync(cache, { mode: 0o700 });
  for (const name of ["packages", "index", "base"])
    symlinkSync(join(cacheRoot(process.env), name), join(cache, name));
  before = outside.state();
  await run([program, "build", definition, "--format", "dir", "--output", tree], {
    env: { ...environment, IMGBUILD_CACHE: cache },
    timeoutMs: buildMs,
  });
});
afterAll(async () => {
  await outside?.remove();
  await user?.remove();
});
let before: unknown;

/** Ways out, by what became of them. */
function outcomes(said: string): Record<string, string> {
  return Object.fromEntries(
    said
      .trim()
      .split("\n")
      .map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]),
  );
}
const ways = [
  ...[
    "abstract",
    "chroot",
    "device-mode",
    "disk",
    "keyring",
    "localhost",
    "mount",
    "namespace",
    "others-namespace",
  ],
  ...["proc-file", "proc-root", "ptrace", "signal", "sysctl", "sysrq", "terminal", "user-namespace", "vsock"],
];
const refusedAll = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, expect.stringMatching(/^refused: /)]));

describe("a hostile package and a hostile script", () => {
  it.each(["preinst", "postinst", "provision"])("get nowhere in a build by root: %s", (file) => {
    expect(outcomes(readFileSync(join(tree, "srv", file), "utf8"))).toEqual(refusedAll([...ways, "forks"]));
    expect(outside.state()).toEqual(before);
  });

  it("get nowhere in a build by an ordinary user", async () => {
    givePackages(
      user,
      parseLock(readFileSync(join(definition, "imgbuild.lock.yaml"), "utf8")).packages.filter(
        ({ archive }) => archive !== "local",
      ),
    );
    const output = join(user.home, "hostile.tar");
    const argv = user.argv(["bin/imgbuild", "build", definition, "--output", output]);
    await run(argv, { env: environment, timeoutMs: buildMs });
    for (const file of ["preinst", "postinst", "provision"]) {
      const said = (await run(["tar", "--extract", "--to-stdout", "--file", output, `./srv/${file}`])).stdout;
      expect(outcomes(said), file).toEqual(refusedAll([...ways, "forks"]));
    }
    expect(outside.state()).toEqual(before);
  });
});

/** As programs of a tree ran before there was the door: their root directory changed, and nothing else. */
const plain = `set -e
mount --make-rprivate /
for d in proc dev sys; do mount --rbind "/$d" "$1/$d"; done
exec chroot "$1" perl -e "$2" quiet`;

describe("the ways out, each by itself", () => {
  it("lead nowhere through the door", async () => {
    const { stdout } = await chrootRun(tree, ["perl", "-e", outside.attack, "quiet"]);
    expect(outcomes(stdout)).toEqual(refusedAll(ways));
    expect(outside.state()).toEqual(before);
  });

  it("lead out where root's programs have a changed root directory alone", async () => {
    const copy = `${tree}-plain`;
    cpSync(tree, copy, { recursive: true, verbatimSymlinks: true });
    const ran = await run(["unshare", "--mount", "sh", "-c", plain, "sh", copy, outside.attack]);
    const refused = expect.stringMatching(/^refused: /);
    const lacking = {
      ...(existsSync("/proc/sysrq-trigger") ? {} : { sysrq: refused }),
      // The kernel gives none to a program that has changed its root directory.
      "user-namespace": refused,
    };
    expect(outcomes(ran.stdout)).toEqual({
      ...Object.fromEntries(ways.map((name) => [name, "escaped"])),
      ...lacking,
    });
    // The disk was written, and what looks at it sees that.
    expect(outside.state()).not.toEqual(before);
    before = outside.state();
  });

  it("lead to the user's own files where the user's programs have that alone", async () => {
    const argv = [
      "unshare",
      "--user",
      "--map-root-user",
      "--mount",
      "sh",
      "-c",
      plain,
      "sh",
      tree,
      outside.attack,
    ];
    const ran = await run(user.argv(argv, { flags: "" }), { accept: everyCode });
    expect(outcomes(ran.stdout)).toMatchObject({
      ...{ chroot: "escaped", mount: "escaped", namespace: "escaped", localhost: "escaped" },
      ...{ abstract: "escaped", keyring: "escaped", vsock: "escaped" },
    });
  });
});

describe("behind the door", () => {
  it("a signal to everything reaches the program's own processes alone", async () => {
    const script = "sleep 600 & sleep 600 & perl -e 'kill 9, -1'; wait; echo over";
    const { stdout } = await chrootRun(tree, ["sh", "-c", script]);
    expect(stdout).toBe("over\n");
    expect(outside.state()).toEqual(before);
  });

  it("is nothing of what this machine's shell has left open", async () => {
    const secret = join(tempDir(), "secret");
    writeFileSync(secret, "canary\n");
    chmodSync(secret, 0o600);
    const file = join(tempDir(), "program.mts");
    const look = ["sh", "-c", "for f in /proc/self/fd/*; do readlink $f; done; cat /proc/self/fd/40"];
    writeFileSync(
      file,
      `import { chrootRun } from ${JSON.stringify(join(process.cwd(), "src/system/door/chroot.ts"))};
const { stdout } = await chrootRun(${JSON.stringify(tree)}, ${JSON.stringify(look)}, { accept: [0, 1] });
console.log(stdout);\n`,
    );
    const stdio = [
      "ignore" as const,
      "pipe" as const,
      "inherit" as const,
      ...Array.from({ length: 37 }, () => "ignore" as const),
      openSync(secret, "r"),
    ];
    const child = spawn(process.execPath, ["--import", "tsx", file], { stdio });
    let said = "";
    child.stdout!.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    await once(child, "close");
    expect(said).toContain("/dev/null");
    expect(said).not.toContain("canary");
    expect(said.trim().split("\n")).not.toContain(secret);
  });
});
