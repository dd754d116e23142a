import { spawn } from "node:child_process";
import { describe, expect, it } from "vitest";
import { exitCodeOf, gateArgv, mapArgv, mapsFor } from "../../../../src/system/user/user-namespace.ts";

const alice = { name: "alice", uid: 1000, gid: 100 };
const maps = mapsFor(alice, "alice:100000:65536\n", "1000:300000:65536\n");

describe("a user namespace", () => {
  it("maps users and groups each by their own file, which names the user in both", () => {
    expect(mapArgv(42, maps)).toEqual([
      ["newuidmap", "42", "0", "1000", "1", "1", "100000", "65535"],
      ["newgidmap", "42", "0", "100", "1", "1", "300000", "65535"],
    ]);
    // A number in /etc/subgid is the user's, never the group's.
    expect(mapsFor(alice, "", "100:300000:65536\n").gids).toHaveLength(1);
  });

  it("hands the program's words on as they are, behind a gate that only we open", () => {
    const words = ["a b", "$(x)", "", "--", "'"];
    const argv = gateArgv(["printf", "%s\\n", ...words]);
    expect(argv.slice(0, 6)).toEqual(["unshare", "--user", "--mount", "--", "sh", "-c"]);
    expect(argv.slice(7)).toEqual(["sh", "printf", "%s\\n", ...words]);
  });

  it("ends as its program does, a signal told as a shell tells it", async () => {
    const code = (script: string) => exitCodeOf(spawn("sh", ["-c", script], { stdio: "ignore" }));
    expect(await Promise.all([code("exit 0"), code("exit 3"), code("kill -TERM $$")])).toEqual([0, 3, 143]);
    const over = spawn("sh", ["-c", "exit 5"], { stdio: "ignore" });
    await new Promise((resolve) => over.on("exit", resolve));
    expect(await exitCodeOf(over)).toBe(5);
  });
});
