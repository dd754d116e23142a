import { describe, expect, it } from "vitest";
import { Data } from "../../../src/schema/settings.ts";
import { hostKeysSaid, loadedChecks, restoredIn, saidOf } from "../../../src/testing/recover.ts";
import type { Machine } from "../../../src/vm/machine/machine.ts";

/** As a medium's console shows a restore. */
const shown = [
  "  3. restoring the data from its backup",
  "mounting the disks: done in 0.4 s",
  "restoring the data from its backup …",
  "  snapshot 4f2d8c11 of 2026-11-29",
  "",
  "  imgbuild-backup: the backup has no dump of sessions",
  "  20 of 100 %",
  "restoring the data from its backup: done in 4.0 s",
  "installing GRUB for BIOS …",
].join("\r\n");

const data = Data.parse({
  paths: ["/srv/web", "/srv/absent"],
  databases: [{ postgresql: "web" }, { postgresql: "sessions" }, { postgresql: "waiting" }],
  backup: { type: "restic", repository: "/mnt/backup", password: "repository" },
});

/** A machine in which /srv/web and the dump of one database are. */
function machineWith(text: string): Machine {
  const execute = async (argv: readonly string[]) => {
    const path = argv.at(-1)!;
    if (argv[0] === "test") return { code: path.endsWith("/waiting") ? 0 : 1, stdout: "", stderr: "" };
    if (path !== "/srv/web") return { code: 1, stdout: "0\n", stderr: "No such file or directory" };
    return { code: 0, stdout: "3\n20480\t/srv/web\n", stderr: "" };
  };
  return { execute, console: { text } } as unknown as Machine;
}

describe("a drill", () => {
  it("finds in the new system what was restored, and what was not", async () => {
    expect(await restoredIn(machineWith(shown), data)).toEqual({
      by: "restic",
      paths: [
        { path: "/srv/web", files: 3, sizeBytes: 20_480 },
        { path: "/srv/absent", files: null, sizeBytes: null },
      ],
      databases: [
        { name: "web", loaded: true },
        { name: "sessions", loaded: false },
        { name: "waiting", loaded: false },
      ],
      said: [
        "snapshot 4f2d8c11 of 2026-11-29",
        "imgbuild-backup: the backup has no dump of sessions",
        "20 of 100 %",
      ],
    });
  });

  it("fails where a database of the definition did not come back", () => {
    const databases = [
      { name: "web", loaded: true },
      { name: "sessions", loaded: false },
    ];
    const checks = loadedChecks({ by: "restic", paths: [], databases, said: [] });
    expect(checks.map(({ check, ok }) => [check, ok])).toEqual([
      ["database web is loaded", true],
      ["database sessions is loaded", false],
    ]);
    expect(loadedChecks(undefined)).toEqual([]);
  });

  it("has nothing to say of a restore that did not end", () => {
    expect(saidOf(shown.replace("backup: done in", "backup: FAILED after"))).toEqual([]);
    expect(saidOf("no restore")).toEqual([]);
  });

  it("knows by the medium's console whether the host keys are those of before", () => {
    const line = "the system gets new SSH host keys: those of before are not on the medium";
    expect(hostKeysSaid(`${shown}\r\n${line}\r\n`)).toBe("new");
    expect(hostKeysSaid(shown)).toBe("of before");
  });
});
