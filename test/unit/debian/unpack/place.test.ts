import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { emptyTree, place, stage } from "../../../helpers/builders/placing.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const text = (root: string, path: string) => readFileSync(join(root, path), "utf8");
const mode = (root: string, path: string) => (lstatSync(join(root, path)).mode & 0o7777).toString(8);

describe("placePackage", () => {
  it("puts files, directories and links in their places with their modes and times", async () => {
    const root = emptyTree();
    const staged = await stage("a", {
      data: [
        { name: "./usr/" },
        { name: "./usr/tool", content: "#!", mode: 0o4755, mtime: 1_234_567_890 },
        { name: "./usr/link", link: "tool" },
        { name: "./usr/hard", link: "./usr/tool", flag: "1" },
        { name: "./usr/private/", mode: 0o2750 },
      ],
    });
    expect(place(root, [staged])).toEqual([undefined]);
    expect(mode(root, "usr/tool")).toBe("4755");
    expect(lstatSync(join(root, "usr/tool")).mtimeMs).toBe(1_234_567_890_000);
    expect(lstatSync(join(root, "usr/hard")).ino).toBe(lstatSync(join(root, "usr/tool")).ino);
    expect(readlinkSync(join(root, "usr/link"))).toBe("tool");
    expect(mode(root, "usr/private")).toBe("2750");
  });

  it("leaves conffiles for dpkg to put in place, and puts them there itself where there is no dpkg yet", async () => {
    const conffile = {
      control: { conffiles: "/etc/a.conf\n" },
      data: [{ name: "./etc/" }, { name: "./etc/a.conf", content: "new" }],
    };
    const later = emptyTree();
    place(later, [await stage("a", conffile)]);
    expect(readdirSync(join(later, "etc"))).toEqual(["a.conf.dpkg-new"]);
    expect(text(later, "var/lib/dpkg/status")).toContain("Conffiles:\n /etc/a.conf newconffile\n");
    const first = emptyTree();
    place(first, [await stage("a", conffile)], { bootstrap: true });
    expect(readdirSync(join(first, "etc"))).toEqual(["a.conf"]);
    expect(text(first, "var/lib/dpkg/status")).toContain(" /etc/a.conf 22af645d1859cb5ca6da0c484f1f37ea\n");
  });

  it("follows links as the system in the tree would, and never out of it", async () => {
    const root = emptyTree();
    const outside = tempDir();
    mkdirSync(join(root, "usr/lib"), { recursive: true });
    mkdirSync(join(root, "real"));
    symlinkSync("usr/lib", join(root, "lib"));
    symlinkSync("/real", join(root, "absolute"));
    symlinkSync(`../../../../../..${outside}`, join(root, "up"));
    mkdirSync(join(root, outside), { recursive: true });
    const staged = await stage("a", {
      data: [
        { name: "./lib/" },
        { name: "./lib/x", content: "1" },
        { name: "./absolute/y", content: "2" },
        { name: "./up/z", content: "3" },
      ],
    });
    expect(place(root, [staged])).toEqual([undefined]);
    expect([text(root, "usr/lib/x"), text(root, "real/y"), text(root, `${outside}/z`)]).toEqual([
      "1",
      "2",
      "3",
    ]);
    expect(readdirSync(outside)).toEqual([]);
    expect(lstatSync(join(root, "lib")).isSymbolicLink()).toBe(true);
  });

  it("goes round what is diverted, but for the package that diverts, and gives overridden owners and modes", async () => {
    const root = emptyTree();
    mkdirSync(join(root, "usr"));
    mkdirSync(join(root, "etc"));
    const [uid, gid] = [process.getuid!(), process.getgid!()];
    writeFileSync(join(root, "etc/passwd"), `me:x:${uid}:${gid}::/:\n`);
    writeFileSync(join(root, "var/lib/dpkg/diversions"), "/usr/x\n/usr/x.mine\nmine\n");
    writeFileSync(join(root, "var/lib/dpkg/statoverride"), `me #${gid} 4711 /usr/y\n`);
    const content = (of: string) => ({
      data: [
        { name: "./usr/" },
        { name: "./usr/x", content: of },
        { name: `./usr/y`, content: of, mode: 0o600 },
      ],
    });
    place(root, [await stage("other", content("other"))]);
    place(root, [await stage("mine", content("mine"))]);
    expect([text(root, "usr/x"), text(root, "usr/x.mine")]).toEqual(["mine", "other"]);
    expect(mode(root, "usr/y")).toBe("4711");
  });

  it("keeps a directory that a package has as a link, and the first package's mode of it", async () => {
    const root = emptyTree();
    mkdirSync(join(root, "usr/dir"), { recursive: true });
    const first = await stage("a", { data: [{ name: "./usr/" }, { name: "./usr/new/", mode: 0o700 }] });
    const second = await stage("b", {
      data: [
        { name: "./usr/new/", mode: 0o755 },
        { name: "./usr/dir", link: "new" },
      ],
    });
    expect(place(root, [first, second])).toEqual([undefined, undefined]);
    expect(mode(root, "usr/new")).toBe("700");
    expect(lstatSync(join(root, "usr/dir")).isDirectory()).toBe(true);
  });

  it("replaces what nobody owns, and leaves to dpkg what is out of the ordinary", async () => {
    const root = emptyTree();
    mkdirSync(join(root, "usr/dir/full"), { recursive: true });
    writeFileSync(join(root, "usr/file"), "nobody's");
    symlinkSync("/nowhere", join(root, "usr/dangling"));
    const owners = new Map<string, string>();
    const reasons = place(
      root,
      [
        await stage("plain", {
          data: [
            { name: "./usr/file", content: "plain's" },
            { name: "./usr/dangling", content: "plain's" },
          ],
        }),
        await stage("clash", { data: [{ name: "./usr/file", content: "clash's" }] }),
        await stage("device", { data: [{ name: "./usr/null", flag: "3" }] }),
        await stage("over", { data: [{ name: "./usr/dir", content: "x" }] }),
        await stage("under", { data: [{ name: "./usr/file/", mode: 0o755 }] }),
        await stage("parentless", { data: [{ name: "./usr/none/x", content: "x" }] }),
      ],
      { owners },
    );
    expect(reasons).toEqual([
      undefined,
      "/usr/file is also in plain",
      "/usr/null is a device or a pipe",
      expect.stringMatching(/usr\/dir is a directory in the tree$/),
      "/usr/file is not a directory in the tree",
      "/usr/none is not in the tree",
    ]);
    expect(text(root, "usr/file")).toBe("plain's");
    expect(text(root, "usr/dangling")).toBe("plain's");
    expect(existsSync(join(root, "var/lib/dpkg/info/clash.list"))).toBe(false);
  });

  it.each(["./../x", "./usr//x", "./usr/./x", "./usr/\nx"])("refuses the path %j", async (name) => {
    await expect(stage("a", { data: [{ name, content: "x" }] })).rejects.toThrow(
      "a package holds a file named",
    );
  });
});
