import { describe, expect, it } from "vitest";
import { parentGroup } from "../../src/system/process-bound.ts";

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
});
