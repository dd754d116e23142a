import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  boundArgv,
  parentGroup,
  processBound,
  rootsBound,
  usersBound,
} from "../../../../src/system/door/process-bound.ts";
import { realUid } from "../../../../src/system/user/user-namespace.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const reading = (files: Readonly<Record<string, string>>) => (file: string) => files[file];

describe("the group for a build's processes", () => {
  it("is made below our own in cgroup v1", () => {
    const text = "9:name=systemd:/x\n8:cpu,pids:/user\n0::/\n";
    expect(parentGroup(text, "/cg", reading({ "/cg/pids/user/cgroup.procs": "" }))).toBe("/cg/pids/user");
    // As in a container that shows none.
    expect(parentGroup(text, "/cg", reading({}))).toBeUndefined();
  });

  it("is made in cgroup v2 below the nearest above us that counts its children's processes", () => {
    const text = "0::/user.slice/user-0.slice/session-1.scope\n";
    const files = {
      "/cg/user.slice/user-0.slice/session-1.scope/cgroup.subtree_control": "\n",
      "/cg/user.slice/user-0.slice/cgroup.subtree_control": "memory pids\n",
      "/cg/cgroup.subtree_control": "cpu memory pids\n",
    };
    expect(parentGroup(text, "/cg", reading(files))).toBe("/cg/user.slice/user-0.slice");
    expect(parentGroup("0::/\n", "/cg", reading({ "/cg/cgroup.subtree_control": "pids\n" }))).toBe("/cg");
    expect(
      parentGroup("0::/a/b\n", "/cg", reading({ "/cg/cgroup.subtree_control": "cpu\n" })),
    ).toBeUndefined();
  });

  it("is found whatever controllers stand beside, and not by what a group's name has in it", () => {
    const there = reading({ "/cg/pids/x/cgroup.procs": "" });
    for (const controllers of ["pids", "cpu,pids", "pids,rdma,misc", "cpu,cpuacct,pids,misc"])
      expect(parentGroup(`12:${controllers}:/x\n0::/\n`, "/cg", there), controllers).toBe("/cg/pids/x");
    for (const controllers of ["pidsx", "xpids", "cpu"])
      expect(parentGroup(`12:${controllers}:/x\n`, "/cg", there), controllers).toBeUndefined();
    // A name may be anything.
    expect(parentGroup("9:name=systemd:/a/8:pids:/x\n", "/cg", there)).toBeUndefined();
    const second = reading({
      "/cg/x/cgroup.subtree_control": "pids",
      "/cg/y/cgroup.subtree_control": "pids",
    });
    expect(parentGroup("9:name=systemd:/a/0::/x\n0::/y\n", "/cg", second)).toBe("/cg/y");
    expect(parentGroup("10::/x\n0::/y\n", "/cg", second)).toBe("/cg/y");
    expect(parentGroup("", "/cg", second)).toBeUndefined();
  });
});

describe("the bound on processes", () => {
  it("is decided once, by who we really are", () => {
    const bound = processBound();
    expect(processBound()).toBe(bound);
    expect(typeof bound === "object" && "limit" in bound).toBe(realUid() !== 0);
  });

  const limits = (hard: string) =>
    `Limit  Soft Limit  Hard Limit  Units\nMax processes   31337   ${hard}   processes\n`;

  it("of a user is ours, or what the user may have already where that is less", () => {
    expect(usersBound(limits("100"))).toEqual({ limit: 100 });
    expect(usersBound(limits("96042"))).toEqual({ limit: 4096 });
    expect(usersBound(limits("unlimited"))).toEqual({ limit: 4096 });
    expect(usersBound("")).toEqual({ limit: 4096 });
  });

  it("of a user is in front of a program, and no other is", () => {
    expect(boundArgv(["ls", "-l"], { limit: 7 })).toEqual(["prlimit", "--nproc=7:7", "--", "ls", "-l"]);
    expect(boundArgv(["ls"], { procs: "/cg/cgroup.procs" })).toEqual(["ls"]);
    expect(boundArgv(["ls"], "none")).toEqual(["ls"]);
  });

  const own = { namespace: "7", pid: 4711 };

  /** Directories in place of control groups, which count nothing. */
  function controlGroups(...names: string[]): { top: string; parent: string } {
    const top = tempDir();
    const parent = join(top, "slice");
    for (const name of names) mkdirSync(join(parent, name), { recursive: true });
    mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, "cgroup.subtree_control"), "pids\n");
    return { top, parent };
  }

  it("of root is a group of its own, which goes when this process ends", () => {
    const { top, parent } = controlGroups();
    const ends: (() => void)[] = [];
    const bound = rootsBound("0::/slice\n", top, own, (drop) => void ends.push(drop));
    const group = join(parent, "imgbuild-7-4711");
    expect(bound).toEqual({ procs: join(group, "cgroup.procs") });
    expect(readFileSync(join(group, "pids.max"), "utf8")).toBe("4096");
    // What the kernel shows in a group goes with it.
    rmSync(join(group, "pids.max"));
    for (const drop of ends) drop();
    expect(readdirSync(parent)).toEqual(["cgroup.subtree_control"]);
    expect(ends).toHaveLength(1);
    for (const drop of ends) expect(drop).not.toThrow();
  });

  it("of root takes away the groups of builds that were killed in its own process namespace, and nothing else", () => {
    // No process has so high a number (PID_MAX_LIMIT of the kernel is 2^22).
    const { top, parent } = controlGroups(
      "imgbuild-7-4194305",
      `imgbuild-7-${process.pid}`,
      "imgbuild-8-4194305",
      "imgbuild-7-x",
      "other-7-4194305",
    );
    rootsBound("0::/slice\n", top, own, () => {});
    expect(readdirSync(parent).sort()).toEqual(
      [
        "cgroup.subtree_control",
        "imgbuild-7-4711",
        `imgbuild-7-${process.pid}`,
        "imgbuild-8-4194305",
        "imgbuild-7-x",
        "other-7-4194305",
      ].sort(),
    );
  });

  it("of root is the group of its name where one is left over", () => {
    const { top, parent } = controlGroups("imgbuild-7-4711");
    const bound = rootsBound("0::/slice\n", top, own, () => {});
    expect(bound).toEqual({ procs: join(parent, "imgbuild-7-4711", "cgroup.procs") });
  });

  it("of root is none where no group counts, or none can be made", () => {
    const { top, parent } = controlGroups();
    const never = () => expect.unreachable();
    expect(rootsBound("0::/\n", top, own, never)).toBe("none");
    writeFileSync(join(parent, "imgbuild-7-4711"), "");
    expect(rootsBound("0::/slice\n", top, own, never)).toBe("none");
  });
});
