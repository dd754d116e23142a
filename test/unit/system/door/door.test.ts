import { describe, expect, it } from "vitest";
import { aroundDoor, doorOptions, withMachine } from "../../../../src/system/door/door.ts";

const room = { layout: ["--bind", "/tree", "/"], hostname: "web" };
const words = (...given: Parameters<typeof doorOptions>) =>
  doorOptions(...given)
    .toString()
    .split("\0");
/** What follows an option, each time that it is there. */
const valuesOf = (list: readonly string[], option: string) =>
  list.flatMap((word, index) => (word === option ? [list[index + 1]] : []));

describe("the door's options for bubblewrap", () => {
  it("give a program namespaces of its own, no network, the name of its system, and its own environment", () => {
    const list = words(room, { PATH: "/bin", HOME: "/root" });
    // Each ends with a NUL.
    expect(list.pop()).toBe("");
    for (const kind of ["pid", "ipc", "uts", "cgroup", "net"]) expect(list).toContain(`--unshare-${kind}`);
    for (const option of ["--as-pid-1", "--die-with-parent", "--clearenv"]) expect(list).toContain(option);
    expect(valuesOf(list, "--hostname")).toEqual(["web"]);
    expect(valuesOf(list, "--chdir")).toEqual(["/"]);
    expect(list.slice(list.indexOf("--bind"), list.indexOf("--bind") + 3)).toEqual(room.layout);
    const set = list.flatMap((word, index) =>
      word === "--setenv" ? [list.slice(index + 1, index + 3)] : [],
    );
    expect(set).toEqual([
      ["PATH", "/bin"],
      ["HOME", "/root"],
    ]);
    // An environment is set after the machine's was taken away.
    expect(list.indexOf("--clearenv")).toBeLessThan(list.indexOf("--setenv"));
  });

  it("take every capability away and give back those that files and ids need", () => {
    const list = words(room, {});
    expect(valuesOf(list, "--cap-drop")).toEqual(["ALL"]);
    expect(list.indexOf("--cap-drop")).toBeLessThan(list.indexOf("--cap-add"));
    const given = valuesOf(list, "--cap-add");
    expect(given).toContain("CAP_CHOWN");
    expect(given).toHaveLength(11);
    for (const name of ["ADMIN", "MODULE", "RAWIO", "PTRACE", "BOOT", "TIME"])
      expect(given).not.toContain(`CAP_SYS_${name}`);
    for (const name of ["MKNOD", "NET_ADMIN", "NET_RAW"]) expect(given).not.toContain(`CAP_${name}`);
  });

  it("name the descriptors of filter and user namespace, which the program does not get", () => {
    const list = words(room, {});
    expect(valuesOf(list, "--seccomp")).toEqual(["4"]);
    expect([valuesOf(list, "--userns"), valuesOf(list, "--block-fd")]).toEqual([["5"], ["5"]]);
  });

  it("leave the machine's network to programs that are given it, and to no others", () => {
    expect(words({ ...room, network: true }, {})).not.toContain("--unshare-net");
    const without = words({ ...room, network: false }, {});
    expect(without).toContain("--unshare-net");
    expect(words({ ...room, network: true }, {})).toEqual(without.filter((word) => word !== "--unshare-net"));
  });

  it("are refused where a word would end early and the rest of it be another option", () => {
    const sneaky = "x\0--bind\0/\0/mnt";
    expect(() => doorOptions(room, { A: sneaky })).toThrow(/has a NUL in it/);
    expect(() => doorOptions({ ...room, layout: ["--dir", sneaky] }, {})).toThrow(/has a NUL in it/);
    expect(() => doorOptions({ ...room, hostname: sneaky }, {})).toThrow(/has a NUL in it/);
  });
});

describe("what stands around bubblewrap", () => {
  const bwrap = ["bwrap", "--args", "3", "--", "dpkg", "--audit"];
  const alone = [
    "setpriv",
    "--pdeathsig",
    "KILL",
    "--",
    "unshare",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
  ];

  it("is a process namespace that ends with us, for a user under a limit of processes", () => {
    expect(aroundDoor(["dpkg", "--audit"], false, { limit: 99 })).toEqual([
      ...["prlimit", "--nproc=99:99", "--", ...alone, "--", ...bwrap],
    ]);
    expect(aroundDoor(["dpkg", "--audit"], false, "none")).toEqual([...alone, "--", ...bwrap]);
  });

  it("enters the group that counts processes, and makes device nodes read-only, where we are root", () => {
    const list = aroundDoor(["dpkg", "--audit"], true, { procs: "/cg/cgroup.procs" });
    expect(list.slice(0, alone.length + 4)).toEqual([...alone, "--mount", "--", "sh", "-ec"]);
    expect(list[alone.length + 4]).toMatch(
      /echo 0 > "\$1"\nshift\nmount -o rbind,ro \/dev \/dev\nexec "\$@"$/,
    );
    expect(list.slice(alone.length + 5)).toEqual(["sh", "/cg/cgroup.procs", ...bwrap]);
    expect(aroundDoor(["dpkg", "--audit"], true, "none").slice(alone.length + 5)).toEqual([
      "sh",
      "",
      ...bwrap,
    ]);
    expect(aroundDoor(["dpkg", "--audit"], true, { limit: 99 })[alone.length + 6]).toBe("");
  });

  it("is left out by one program of the base alone", () => {
    expect(withMachine("/target", ["clevis", "luks"])).toEqual(["chroot", "/target", "clevis", "luks"]);
  });
});
