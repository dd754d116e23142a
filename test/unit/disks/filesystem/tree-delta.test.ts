import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  lutimesSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type Change,
  changesApart,
  changesOn,
  settledTime,
  treeDelta,
  withDigest,
} from "../../../../src/disks/filesystem/tree-delta.ts";
import { settleTree } from "../../../../src/disks/filesystem/tree-usage.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const epoch = 1_600_000_000;

/** Two equal trees, settled as a layer is. */
function trees(): { lower: string; merged: string } {
  const lower = join(tempDir(), "lower");
  for (const dir of ["etc/deep", "srv", "usr/bin"]) mkdirSync(join(lower, dir), { recursive: true });
  writeFileSync(join(lower, "etc/a"), "a");
  writeFileSync(join(lower, "etc/deep/b"), "b");
  writeFileSync(join(lower, "usr/bin/tool"), "tool", { mode: 0o755 });
  symlinkSync("tool", join(lower, "usr/bin/link"));
  settleTree(lower, epoch, []);
  const merged = join(tempDir(), "merged");
  cpSync(lower, merged, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  settleTree(merged, epoch, []);
  return { lower, merged };
}

const delta = ({ lower, merged }: { lower: string; merged: string }) =>
  treeDelta(lower, merged, { epoch, since: Date.now() / 1000 - 60 });
const told = (changes: readonly Change[]) => changes.map((one) => `${one.do} ${one.path}`);

describe("treeDelta", () => {
  it("has nothing to tell of equal trees, nor of what was only written anew", () => {
    const { lower, merged } = trees();
    expect(delta({ lower, merged })).toEqual([]);
    writeFileSync(join(merged, "etc/a"), "a");
    expect(delta({ lower, merged })).toEqual([]);
  });

  it("tells what goes, what comes and what changes, in an order of its own, parents' times last", () => {
    const { lower, merged } = trees();
    rmSync(join(merged, "etc/deep"), { recursive: true });
    writeFileSync(join(merged, "etc/a"), "another");
    mkdirSync(join(merged, "srv/www"));
    writeFileSync(join(merged, "srv/www/page"), "page");
    chmodSync(join(merged, "usr/bin/tool"), 0o700);
    rmSync(join(merged, "usr/bin/link"));
    symlinkSync("other", join(merged, "usr/bin/link"));
    const changes = delta({ lower, merged });
    expect(told(changes)).toEqual([
      "unlink /etc/a",
      "write /etc/a",
      "unlink /etc/deep/b",
      "rmdir /etc/deep",
      "set /etc",
      "mkdir /srv/www",
      "write /srv/www/page",
      "set /srv/www",
      "set /srv",
      "unlink /usr/bin/link",
      "symlink /usr/bin/link",
      "set /usr/bin/tool",
      "set /usr/bin",
      "set /usr",
      "set /",
    ]);
    expect(changes.find(({ path }) => path === "/usr/bin/tool")).toMatchObject({
      do: "set",
      mode: 0o700,
      mtime: epoch,
    });
  });

  it("tells of what has another time, of its own kind each", () => {
    const { lower, merged } = trees();
    for (const path of ["etc/a", "etc/deep"]) utimesSync(join(merged, path), 5, 5);
    lutimesSync(join(merged, "usr/bin/link"), 5, 5);
    expect(told(delta({ lower, merged }))).toEqual([
      ...["set /etc/a", "set /etc/deep", "set /etc"],
      ...["unlink /usr/bin/link", "symlink /usr/bin/link", "set /usr/bin", "set /usr", "set /"],
    ]);
  });

  it("writes a file of the same length that has other bytes, and one in the place of a link to it", () => {
    const { lower, merged } = trees();
    writeFileSync(join(merged, "etc/a"), "A");
    rmSync(join(merged, "usr/bin/link"));
    writeFileSync(join(merged, "usr/bin/link"), "tool");
    expect(told(delta({ lower, merged })).filter((one) => !one.startsWith("set"))).toEqual([
      ...["unlink /etc/a", "write /etc/a", "unlink /usr/bin/link", "write /usr/bin/link"],
    ]);
  });

  it("looks only at what an overlay was told of, and at what is gone", () => {
    const { lower, merged } = trees();
    const upper = tempDir();
    mkdirSync(join(upper, "etc"));
    writeFileSync(join(upper, "etc/new"), "new");
    for (const path of ["etc/new", "etc/deep/b", "srv/unseen"]) writeFileSync(join(merged, path), "new");
    rmSync(join(merged, "usr/bin/tool"));
    const options = { upper, epoch, since: Date.now() / 1000 - 60 };
    expect(told(treeDelta(lower, merged, options))).toEqual(["write /etc/new", "set /etc", "set /"]);
    mkdirSync(join(upper, "usr/bin"), { recursive: true });
    expect(told(treeDelta(lower, merged, options)).slice(2)).toEqual([
      ...["unlink /usr/bin/tool", "set /usr/bin", "set /usr", "set /"],
    ]);
  });

  it("refuses what no image holds", () => {
    const { lower, merged } = trees();
    execFileSync("mkfifo", [join(merged, "srv/fifo")]);
    expect(() => delta({ lower, merged })).toThrow("/srv/fifo is neither a file, a directory nor a link");
  });

  it("replaces a directory by a file and a file by a directory", () => {
    const { lower, merged } = trees();
    rmSync(join(merged, "etc/deep"), { recursive: true });
    writeFileSync(join(merged, "etc/deep"), "x");
    rmSync(join(merged, "etc/a"));
    mkdirSync(join(merged, "etc/a"));
    expect(told(delta({ lower, merged })).slice(0, 6)).toEqual([
      "unlink /etc/a",
      "mkdir /etc/a",
      "set /etc/a",
      "unlink /etc/deep/b",
      "rmdir /etc/deep",
      "write /etc/deep",
    ]);
  });
});

describe("changesOn", () => {
  it("gives each filesystem its own, and a mount point to both", () => {
    const { lower, merged } = trees();
    writeFileSync(join(merged, "srv/page"), "x");
    writeFileSync(join(merged, "etc/new"), "x");
    const changes = delta({ lower, merged });
    expect(told(changesOn(changes, "/", ["/srv"]))).toEqual([
      "write /etc/new",
      "set /etc",
      "set /srv",
      "set /",
    ]);
    expect(told(changesOn(changes, "/srv", []))).toEqual(["write /page", "set /"]);
    const made = { mode: 0o755, uid: 0, gid: 0, mtime: 5 };
    expect(changesOn([{ do: "mkdir", path: "/srv", ...made }], "/srv", [])).toEqual([]);
  });
});

describe("withDigest", () => {
  it("names what is written by its bytes, wherever it lies, and leaves all else", () => {
    const [a, b] = [join(tempDir(), "a"), join(tempDir(), "b")];
    for (const path of [a, b]) writeFileSync(path, "same");
    const write = (from: string): Change => ({
      ...{ do: "write", path: "/x", from, size: 4 },
      ...{ mode: 0o644, uid: 0, gid: 0, mtime: 0 },
    });
    expect(withDigest(write(a))).toEqual(withDigest(write(b)));
    writeFileSync(b, "else");
    expect(withDigest(write(a))).not.toEqual(withDigest(write(b)));
    expect(withDigest(write(a))).toMatchObject({ do: "write", path: "/x", size: 4 });
    const gone: Change = { do: "unlink", path: "/x" };
    expect(withDigest(gone)).toBe(gone);
  });
});

describe("changesApart", () => {
  const root = { mode: 0o755, uid: 0, gid: 0, mtime: 5 };
  const mkdir = (path: string): Change => ({ do: "mkdir", path, ...root });
  const set = (path: string): Change => ({ do: "set", path, type: 0o040000, ...root });
  const write = (path: string): Change => ({ do: "write", path, from: "/from", size: 1, ...root });
  const remove = (path: string): Change => ({ do: "unlink", path });

  it("takes what is meant first, with its directories, and leaves a directory's time with who comes last to it", () => {
    const changes = [
      ...[mkdir("/usr/share/x"), write("/usr/share/x/leaf"), set("/usr/share/x"), set("/usr/share")],
      ...[write("/usr/bin/mine"), write("/usr/bin/tool"), set("/usr/bin"), set("/usr"), set("/")],
    ];
    const meant = new Set([
      ...["/usr", "/usr/bin", "/usr/bin/tool", "/usr/share", "/usr/share/x", "/usr/share/x/leaf"],
    ]);
    const { first, rest } = changesApart(changes, (path) => meant.has(path));
    expect(told(first)).toEqual([
      "mkdir /usr/share/x",
      "write /usr/share/x/leaf",
      "set /usr/share/x",
      "set /usr/share",
      "write /usr/bin/tool",
    ]);
    expect(told(rest)).toEqual(["write /usr/bin/mine", "set /usr/bin", "set /usr", "set /"]);
  });

  it("leaves a change in its place where one of the rest bears on it: the same path, one above, one below", () => {
    const gone = (path: string): Change => ({ do: "rmdir", path });
    const orders = [
      [mkdir("/srv/x"), write("/srv/x/leaf")],
      [remove("/srv/x/other"), gone("/srv/x")],
      [remove("/srv/y"), mkdir("/srv/y"), write("/srv/y/leaf")],
    ];
    const meant = new Set(["/srv/x/leaf", "/srv/y/leaf"]);
    expect(changesApart(orders[0]!, (path) => meant.has(path))).toEqual({ first: [], rest: orders[0] });
    expect(changesApart(orders[1]!, (path) => path === "/srv/x")).toEqual({ first: [], rest: orders[1] });
    expect(changesApart(orders[2]!, (path) => meant.has(path))).toEqual({ first: [], rest: orders[2] });
    expect(changesApart(orders[2]!, (path) => path === "/srv/y")).toMatchObject({
      first: orders[2]!.slice(0, 2),
    });
  });

  it("parts all or nothing, as it is meant", () => {
    const changes = [mkdir("/a"), write("/a/b"), set("/a"), set("/")];
    expect(changesApart(changes, () => true)).toEqual({ first: changes, rest: [] });
    expect(changesApart(changes, () => false)).toEqual({ first: [], rest: changes });
  });
});

describe("settledTime", () => {
  it("knows what was made by its time, whether the clock is before or behind the packages", () => {
    const now = { epoch, since: epoch + 1000, now: epoch + 1020 };
    expect([epoch + 1010, epoch + 5, epoch - 5.5].map((time) => settledTime(time, now))).toEqual([
      epoch,
      epoch,
      epoch - 6,
    ]);
    const past = { epoch, since: 1000, now: 1020 };
    // Of the kernel's clock for files, a second each way.
    expect([999, 999.5, 1020.5, 1021].map((time) => settledTime(time, past))).toEqual([
      999,
      epoch,
      epoch,
      1021,
    ]);
    expect([1010, epoch - 5].map((time) => settledTime(time, past))).toEqual([epoch, epoch - 5]);
  });

  it("is what a tree's files get", () => {
    const { merged } = trees();
    utimesSync(join(merged, "etc/a"), 5, 5);
    writeFileSync(join(merged, "etc/deep/b"), "now");
    settleTree(merged, Math.floor(Date.now() / 1000) + 1000, [], Date.now() / 1000 - 10);
    const { lower } = trees();
    const changed = treeDelta(lower, merged, { epoch: 2 ** 31, since: 2 ** 40 });
    expect(changed.find(({ path }) => path === "/etc/a")).toMatchObject({ mtime: 5 });
  });
});
