import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { backupProgram } from "../../src/operator/settings/backup-script.ts";
import type { SpecInput } from "../../src/schema/spec.ts";
import { dataSystem } from "../helpers/labs/data-tree.ts";
import { startSshd } from "../helpers/labs/sshd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

type Data = NonNullable<SpecInput["data"]>;
const secrets = { repository: "a passphrase of the repository\n" };
const restore = (paths: readonly string[], names: readonly string[] = ["repository"]) => ({
  ...{ program: backupProgram, secrets: names, paths },
});

const backups: Readonly<Record<string, (at: string) => Data["backup"]>> = {
  restic: (at) => ({ type: "restic", repository: at, password: "repository" }),
  borg: (at) => ({ type: "borg", repository: at, password: "repository" }),
  rsync: (at) => ({ type: "rsync", target: at }),
  command: (at) => ({
    type: "command",
    backup: `tar --create --acls --xattrs --xattrs-include='*' --numeric-owner --absolute-names --file ${at}/all.tar "$@"`,
    restore: `tar --extract --acls --xattrs --xattrs-include='*' --numeric-owner --absolute-names --same-owner --preserve-permissions --file ${at}/all.tar`,
    check: `test -s ${at}/all.tar`,
    list: `tar --list --absolute-names --file ${at}/all.tar`,
  }),
};

/** Files of all kinds, as a service would leave them. */
function fill(root: string, owner: number): void {
  const at = join(root, "srv/app");
  mkdirSync(join(at, "deep/er"), { recursive: true });
  writeFileSync(join(at, "a file"), "text\n");
  writeFileSync(join(at, "deep/er/large"), Buffer.alloc(3 * 2 ** 20, "0123456789abcdef"));
  writeFileSync(join(at, "deep/cache"), "not kept\n");
  writeFileSync(join(at, "umlaut-\u00e4"), "");
  for (const words of [
    ["ln", "-s", "../nowhere", join(at, "link")],
    ["ln", join(at, "a file"), join(at, "hard")],
    ["mkfifo", join(at, "pipe")],
    ["chmod", "2750", join(at, "deep")],
    ["chmod", "0600", join(at, "a file")],
    ["chown", "-hR", `${owner}:${owner}`, join(at, "deep"), join(at, "link")],
    ["setfattr", "--name=user.note", "--value=kept", join(at, "a file")],
    ["setfacl", "--modify=u:65534:r", join(at, "umlaut-\u00e4")],
    // Not of this second: rsync compares whole ones.
    ["find", at, "-exec", "touch", "--no-dereference", "--date=@1500000000.123456789", "{}", "+"],
  ])
    execFileSync(words[0]!, words.slice(1));
}

describe.each(["restic", "borg", "rsync"])("a backup by %s, of users with other numbers", (type) => {
  it("belongs to the same names on the new system, also where two have changed places", async () => {
    const at = tempDir();
    const system = (ids: Readonly<Record<string, number>>) =>
      dataSystem({ paths: ["/srv/app"], backup: backups[type]!(at) }, { secrets, shared: [at], ids });
    const old = system({ app: 901, other: 902, third: 903 });
    fill(old.root, 901);
    execFileSync("chown", ["902:903", join(old.root, "srv/app/a file")]);
    await old.backup("now");
    const fresh = system({ app: 902, other: 901, third: 950 });
    await fresh.step("restore-data", restore(["/srv/app"]));
    const owners = execFileSync("find", [join(fresh.root, "srv/app"), "-printf", "%U:%G %P\\n"]).toString();
    const byOwner = {
      "0:0": ["", "pipe", "umlaut-\u00e4"],
      "901:950": ["a file", "hard"],
      "902:902": ["deep", "deep/cache", "deep/er", "deep/er/large", "link"],
    };
    const expected = Object.entries(byOwner).flatMap(([who, names]) => names.map((name) => `${who} ${name}`));
    expect(owners.split("\n").filter(Boolean).sort()).toEqual(expected.sort());
  });
});

describe.each(["restic", "borg", "rsync"])("a backup by %s on a server with SSH", (type) => {
  it("brings back the same", async () => {
    const home = tempDir();
    const { port, hostKey } = await startSshd(home);
    const at = `root@127.0.0.1:${port}${type === "restic" ? "/" : ""}${home}/backup`;
    const address = `${type === "restic" ? "sftp" : "ssh"}://${at}`;
    const ssh = { key: "login", knownHosts: [`[127.0.0.1]:${port} ${hostKey}`] };
    const backup = { ...backups[type]!(address), ssh } as Data["backup"];
    const given = { ...secrets, login: readFileSync(join(home, ".ssh/id_ed25519"), "utf8") };
    const system = () => dataSystem({ paths: ["/srv/app"], backup }, { secrets: given, ids: { app: 901 } });
    const old = system();
    fill(old.root, 901);
    await old.backup("now");
    await old.backup("try");
    const fresh = system();
    await fresh.step("restore-data", restore(["/srv/app"], ["repository", "login"]));
    expect(stateOf(fresh.root, "srv/app")).toEqual(stateOf(old.root, "srv/app"));
  });
});

/** Every file below a path: what it is, whose, when, its attributes, and its bytes. */
function stateOf(root: string, path: string): string[] {
  const list = execFileSync("find", [join(root, path), "-printf", "%P %y %m %U %G %s %T@ %l\\0"]).toString();
  const attributes = execFileSync("getfattr", [
    "-R",
    "-h",
    "-d",
    "-m",
    "-",
    "--absolute-names",
    join(root, path),
  ]);
  const sums = list.split("\0").flatMap((line) => {
    const [, name = "", type] = /^(.*) (\w) \d+ \d+ \d+ /.exec(line) ?? [];
    if (type !== "f") return [];
    return [
      `${name} ${createHash("sha256")
        .update(readFileSync(join(root, path, name)))
        .digest("hex")}`,
    ];
  });
  // What a directory's own size is depends on its filesystem.
  const all = list.split("\0").map((line) => line.replace(/^(.* d \d+ \d+ \d+) \d+/, "$1"));
  return [...all.sort(), ...sums.sort(), ...attributes.toString().replaceAll(root, "").split("\n\n").sort()];
}

describe.each(Object.keys(backups))("a backup by %s", (type) => {
  const system = (
    at: string,
    change: Partial<Data> = {},
    ids: Readonly<Record<string, number>> = { app: 901 },
  ) =>
    dataSystem(
      {
        paths: ["/srv/app", "/srv/missing"],
        exclude: ["/srv/app/deep/cache"],
        backup: backups[type]!(at),
        ...change,
      },
      { secrets, shared: [at], ids },
    );

  it("brings back files with owners, modes, times and attributes, and leaves out what is excluded", async () => {
    const at = tempDir();
    const old = system(at, type === "command" ? { exclude: [] } : {});
    fill(old.root, 901);
    await old.backup("now");
    const before = stateOf(old.root, "srv/app").filter(
      (line) => type === "command" || !line.startsWith("deep/cache "),
    );
    await old.backup("list");
    await old.backup("check");
    await old.backup("try");

    const fresh = system(at);
    const said = await fresh.step("restore-data", restore(["/srv/app", "/srv/missing"]));
    expect(stateOf(fresh.root, "srv/app")).toEqual(before);
    expect(said.join("\n")).toContain("the backup has no /srv/missing");
    expect(readdirSync(join(fresh.root, "var/lib/imgbuild"))).toEqual(["restored"]);
    expect(existsSync(join(old.root, "var/lib/imgbuild/dumps"))).toBe(false);
  });

  it("F50: goes on where a restore was cut off", async () => {
    const at = tempDir();
    const old = system(at);
    fill(old.root, 901);
    await old.backup("now");
    const fresh = system(at);
    const nonce = "ab".repeat(32);
    await fresh.step("restore-data", restore(["/srv/app"]), { nonce });
    const whole = stateOf(fresh.root, "srv/app");
    // As if it had ended in the middle: a file is short, another missing, and the mark is not there.
    const large = join(fresh.root, "srv/app/deep/er/large");
    writeFileSync(large, "0123");
    rmSync(join(fresh.root, "srv/app/umlaut-\u00e4"));
    rmSync(join(fresh.root, "var/lib/imgbuild/restored"));
    await fresh.step("restore-data", restore(["/srv/app"]), { nonce });
    expect(stateOf(fresh.root, "srv/app")).toEqual(whole);
    // Once it is done it is not done again: what is there now is the new system's.
    writeFileSync(large, "newer");
    const said = await fresh.step("restore-data", restore(["/srv/app"]), { nonce });
    expect(said).toContain("info it is restored already");
    expect(readFileSync(large, "utf8")).toBe("newer");
  });

  it("dumps databases, and leaves what was restored to the first start, once", async () => {
    const at = tempDir();
    const databases = [
      { name: "notes", dump: "cat /srv/notes.db", load: "cat >/srv/notes.db; echo loaded >>/srv/log" },
    ];
    const old = system(at, { paths: [], databases });
    writeFileSync(join(old.root, "srv/notes.db"), "rows\n");
    await old.backup("now");

    const fresh = system(at, { paths: [], databases });
    await fresh.step("restore-data", restore([]));
    const waiting = join(fresh.root, "var/lib/imgbuild/load");
    expect(readdirSync(waiting)).toEqual(["notes"]);
    expect(statSync(waiting).mode & 0o777).toBe(0o700);
    // A backup now would be one of an empty database.
    await expect(fresh.backup("now")).rejects.toThrow("not in the databases yet");
    await fresh.backup("load");
    expect(readFileSync(join(fresh.root, "srv/notes.db"), "utf8")).toBe("rows\n");
    expect(existsSync(waiting)).toBe(false);
    await fresh.backup("load");
    expect(readFileSync(join(fresh.root, "srv/log"), "utf8")).toBe("loaded\n");
    await fresh.backup("now");
  });

  it("finds a backup that is not there, before anything is written", async () => {
    const fresh = system(tempDir());
    await expect(fresh.backup("try")).rejects.toThrow();
  });
});
