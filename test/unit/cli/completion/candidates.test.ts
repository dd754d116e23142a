import { describe, expect, it } from "vitest";
import { candidates } from "../../../../src/cli/completion/candidates.ts";
import { commandLine } from "../../../../src/cli/program.ts";

const look = {
  named: ["mail"],
  definitions: () => ["hosts/web", "hosts/db"],
  aliases: () => ["web.example.org", "db"],
};
const program = commandLine(
  async () => {},
  () => {},
);
function complete(...words: string[]) {
  const { also, words: found } = candidates(program, words, look);
  return { also, found: found.map(([word]) => word) };
}

describe("completion", () => {
  it("offers commands, and those below a command", () => {
    expect(complete("de").found).toEqual(["deploy"]);
    expect(complete("").found).toEqual(expect.arrayContaining(["init", "deploy", "doctor"]));
    expect(complete("").found).not.toContain("complete");
    expect(complete("secrets", "k").found).toEqual(["keygen"]);
    expect(complete("--json", "secrets", "k").found).toEqual(["keygen"]);
  });

  it("offers what a command's options are, and those of every command", () => {
    expect(complete("deploy", "hosts/web", "--yes").found).toEqual(["--yes-wipe"]);
    expect(complete("deploy", "--j").found).toEqual(["--json"]);
    expect(complete("deploy", "--h").found).toEqual(["--help"]);
  });

  it("offers the values that an option takes, and files where it takes a file", () => {
    expect(complete("test", "--firmware", "").found).toEqual(["bios", "uefi", "both"]);
    expect(complete("build", "hosts/web", "--format", "q").found).toEqual(["qcow2"]);
    expect(complete("build", "hosts/web", "-o", "")).toEqual({ also: "files", found: [] });
    expect(complete("build", "hosts/web", "--vendor", "")).toEqual({ also: "directories", found: [] });
    expect(complete("test", "--memory", "")).toEqual({ also: "nothing", found: [] });
  });

  it("offers definitions and hosts, each in its place", () => {
    expect(complete("deploy", "")).toEqual({ also: "nothing", found: ["mail", "hosts/web", "hosts/db"] });
    expect(complete("deploy", "../")).toEqual({ also: "directories", found: [] });
    expect(complete("deploy", "hosts/web", "")).toEqual({
      also: "nothing",
      found: ["mail", "web.example.org", "db"],
    });
    // An option and its value stand between, and a flag.
    expect(complete("deploy", "--login", "admin", "hosts/web", "--keep-access", "d").found).toEqual(["db"]);
    expect(complete("deploy", "hosts/web", "db", "")).toEqual({ also: "nothing", found: [] });
    expect(complete("plan", "--", "hosts/d").found).toEqual(["hosts/db"]);
  });
});
