import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import type { StepContext } from "../../../../src/steps/step/step.ts";
import { finishTree, markPath } from "../../../../src/steps/tree/finish-tree.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** The machine-id that a tree ends with. */
async function machineIdOf(options: { machineId?: string; nonce?: string }): Promise<string> {
  const root = tempDir();
  mkdirSync(join(root, "etc"));
  const { nonce, ...more } = options;
  const context = { root, nonce, began: 0 } as unknown as StepContext;
  await finishTree.run({ definition: "d", epoch: 1, ...more }, context);
  return readFileSync(join(root, "etc/machine-id"), "utf8");
}

it("F30: gives each deploy another machine-id, but for a definition that is for the host with one", async () => {
  const [first, second] = [await machineIdOf({ nonce: "a" }), await machineIdOf({ nonce: "b" })];
  expect(first).toMatch(/^[0-9a-f]{32}\n$/);
  expect(second).not.toBe(first);
  const machineId = "0123456789abcdef0123456789abcdef";
  expect(await machineIdOf({ nonce: "a", machineId })).toBe(`${machineId}\n`);
});

it("leaves an image without one, whoever it is for", async () => {
  expect(await machineIdOf({ machineId: "0123456789abcdef0123456789abcdef" })).toBe("");
});

const daySeconds = 86_400;

/** A tree with these files. */
function treeWith(files: Readonly<Record<string, string>>): string {
  const root = tempDir();
  mkdirSync(join(root, "etc"));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}
const finish = async (root: string, more: { nonce?: string; began?: number; epoch?: number } = {}) => {
  const { nonce, began = 0, epoch = 1 } = more;
  await finishTree.run({ definition: "d", epoch }, { root, nonce, began } as unknown as StepContext);
};

it("leaves nothing of the making, no random seed among it (F30), and all else as it is", async () => {
  const traces = [
    ...["etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "var/lib/dpkg/status-old"],
    ...["available-old", "diversions-old", "statoverride-old"].map((name) => `var/lib/dpkg/${name}`),
    ...["var/lib/dbus/machine-id", "var/lib/systemd/random-seed", "var/lib/systemd/credential.secret"],
    ...["root/.bash_history", "var/cache/ldconfig/aux-cache", "var/cache/imgbuild-packages/x.deb"],
    ...["tmp/x", "run/x/y", "var/tmp/x", "var/cache/apt/archives/x.deb", "var/cache/apt/archives/partial/x"],
  ];
  const kept = ["etc/passwd", "var/lib/dpkg/status", "root/.profile", "var/cache/apt/other"];
  const logs = ["dpkg.log", "alternatives.log", "bootstrap.log"].map((name) => `var/log/${name}`);
  const root = treeWith(Object.fromEntries([...traces, ...kept, ...logs].map((path) => [path, "x"])));
  chmodSync(join(root, logs[0]!), 0o640);
  await finish(root);
  expect(traces.filter((path) => existsSync(join(root, path)))).toEqual([]);
  expect(kept.map((path) => readFileSync(join(root, path), "utf8"))).toEqual(kept.map(() => "x"));
  expect(logs.map((path) => readFileSync(join(root, path), "utf8"))).toEqual(["", "", ""]);
  expect(lstatSync(join(root, logs[0]!)).mode & 0o777).toBe(0o640);
  for (const path of ["tmp", "run", "var/tmp", "var/cache/apt/archives/partial"])
    expect(readdirSync(join(root, path))).toEqual([]);
});

it("keeps the mode of a machine-id that is there, and replaces a link", async () => {
  const root = treeWith({ "etc/machine-id": "old\n" });
  chmodSync(join(root, "etc/machine-id"), 0o600);
  await finish(root);
  expect(lstatSync(join(root, "etc/machine-id")).mode & 0o777).toBe(0o600);
  const linked = treeWith({ "etc/other": "kept" });
  symlinkSync("other", join(linked, "etc/machine-id"));
  await finish(linked);
  expect(readFileSync(join(linked, "etc/other"), "utf8")).toBe("kept");
  expect(lstatSync(join(linked, "etc/machine-id")).mode & 0o777).toBe(0o444);
});

it("leaves the mark of a deploy, and none on an image", async () => {
  const root = treeWith({});
  await finish(root);
  expect(existsSync(join(root, markPath))).toBe(false);
  await finish(root, { nonce: "n" });
  expect(JSON.parse(readFileSync(join(root, markPath), "utf8"))).toEqual({
    ...{ version: 1, nonce: "n", definition: "d" },
  });
});

it("settles the days on which passwords were set while the tree was made", async () => {
  const today = Math.floor(Date.now() / 1000 / daySeconds);
  const days = { locked: today, starred: today - 1, real: today, before: today - 2, later: today + 1 };
  const line = (name: string, password: string, day: number) => `${name}:${password}:${day}:0:99999:7:::\n`;
  const shadow = [
    ...[
      line("locked", "!", days.locked),
      line("starred", "*", days.starred),
      line("real", "$y$x", days.real),
    ],
    ...[line("before", "!", days.before), line("later", "!", days.later), "empty:!::0:99999:7:::\n"],
  ];
  const root = treeWith({ "etc/shadow": shadow.join("") });
  chmodSync(join(root, "etc/shadow"), 0o640);
  await finish(root, { began: (today - 1) * daySeconds + 5, epoch: 100 * daySeconds + 7 });
  expect(readFileSync(join(root, "etc/shadow"), "utf8")).toBe(
    [
      ...[line("locked", "!", 100), line("starred", "*", 100), "real:$y$x::0:99999:7:::\n"],
      ...[line("before", "!", days.before), line("later", "!", days.later), "empty:!::0:99999:7:::\n"],
    ].join(""),
  );
  expect(lstatSync(join(root, "etc/shadow")).mode & 0o777).toBe(0o640);
});
