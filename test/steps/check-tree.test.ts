import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkTree, type Expectation } from "../../src/steps/check-tree.ts";
import type { StepContext } from "../../src/steps/step.ts";
import { WrongFields } from "../../src/util/problem.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** A tree with a little of everything that is looked for. */
function tree(): string {
  const root = join(tempDir(), "tree");
  const write = (path: string, text = "", mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), mode);
  };
  write("etc/passwd", "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/usr/sbin/nologin\n");
  write("etc/group", "root:x:0:\nadm:x:4:\n");
  write("usr/lib/sysusers.d/app.conf", '# made at the start\nu app - "App"\ng appgroup 900\n');
  write("usr/share/zoneinfo/Europe/Berlin");
  write("usr/share/i18n/SUPPORTED", "de_DE.UTF-8 UTF-8\nde_DE ISO-8859-1\n");
  write("usr/bin/dash", "", 0o755);
  write("usr/bin/notes", "text", 0o644);
  write("usr/lib/systemd/system/ssh.service");
  write("usr/lib/systemd/system/openvpn@.service");
  write("etc/init.d/old");
  symlinkSync("usr/bin", join(root, "bin"));
  symlinkSync("dash", join(root, "usr/bin/sh"));
  symlinkSync("/usr/bin/sh", join(root, "usr/bin/shell"));
  symlinkSync("/usr/bin/round", join(root, "usr/bin/round"));
  symlinkSync("/usr/lib/systemd/system/ssh.service", join(root, "etc/sshd.service"));
  return root;
}

async function problems(...wanted: (readonly [Expectation["kind"], string])[]) {
  const context = { root: tree() } as unknown as StepContext;
  const expected = wanted.map(([kind, name]) => ({ path: ["field"], kind, name }));
  try {
    await checkTree.run!({ expected }, context);
    return [];
  } catch (error) {
    if (!(error instanceof WrongFields)) throw error;
    return error.problems.map(({ message }) => message);
  }
}

describe("check-tree", () => {
  it("finds what is there, by links of the tree too", async () => {
    expect(
      await problems(
        ...[["time zone", "Europe/Berlin"] as const, ["locale", "de_DE.UTF-8"] as const],
        ...[["user", "www-data"] as const, ["user", "app"] as const],
        ...[["group", "adm"] as const, ["group", "appgroup"] as const, ["group", "app"] as const],
        ...[["unit", "ssh.service"] as const, ["unit", "old.service"] as const],
        ["unit", "openvpn@a.b.service"],
        ...[["program", "/bin/sh"] as const, ["program", "shell"] as const, ["program", "dash"] as const],
        ["calendar event", "hourly"],
      ),
    ).toEqual([]);
  });

  it.each<[Expectation["kind"], string, RegExp]>([
    ["time zone", "Europe/Berln", /^Europe\/Berln is no time zone/],
    ["time zone", "Europe", /^Europe is no time zone/],
    ["locale", "en_XX.UTF-8", /^en_XX.UTF-8 is no locale of the package `locales`/],
    ["user", "nobody-here", /^the system has no user nobody-here/],
    ["group", "docker", /^the system has no group docker; install the package/],
    ["unit", "nginx.service", /^the system has no unit nginx.service/],
    ["program", "/usr/bin/stampp", /^the system has no program \/usr\/bin\/stampp/],
    ["program", "none", /^the system has no program none/],
    ["program", "round", /^the system has no program round/],
    ["program", "/usr/bin/notes", /cannot be run/],
    ["program", "/usr/bin", /cannot be run/],
  ])("lacks the %s %s", async (kind, name, message) => {
    expect(await problems([kind, name])).toEqual([expect.stringMatching(message)]);
  });

  it("shows all that is missing at once, each with its field", async () => {
    const expected: Expectation[] = [
      { path: ["users", "a", "groups", 0], kind: "group", name: "docker" },
      { path: ["services", "x.service"], kind: "unit", name: "x.service" },
    ];
    await expect(
      checkTree.run!({ expected }, { root: tree() } as unknown as StepContext),
    ).rejects.toMatchObject({
      message: expect.stringMatching(
        /^users\.a\.groups\[0\]: .*docker.*\nservices\["x\.service"\]: .*x\.service/,
      ),
    });
  });
});
