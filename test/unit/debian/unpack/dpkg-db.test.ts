import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ownersIn, statusStanzas } from "../../../../src/debian/unpack/dpkg-db.ts";
import { emptyTree, place, stage } from "../../../helpers/builders/placing.ts";

const read = (root: string, path: string) => readFileSync(join(root, "var/lib/dpkg", path), "utf8");

describe("registerUnpacked", () => {
  it("keeps what dpkg keeps of a package, with links listed behind all else", async () => {
    const root = emptyTree();
    const staged = await stage("lib", {
      fields: "Multi-Arch: same\n",
      control: { postinst: "#!/bin/sh\n", md5sums: "x  y\n", "odd.name": "x" },
      data: [{ name: "./usr/" }, { name: "./usr/link", link: "x" }, { name: "./usr/x", content: "x" }],
    });
    place(root, [staged]);
    expect(readdirSync(join(root, "var/lib/dpkg/info")).sort()).toEqual([
      "format",
      "lib:amd64.list",
      "lib:amd64.md5sums",
      "lib:amd64.postinst",
    ]);
    expect(read(root, "info/lib:amd64.list")).toBe("/.\n/usr\n/usr/x\n/usr/link\n");
    expect(statSync(join(root, "var/lib/dpkg/info/lib:amd64.postinst")).mode & 0o777).toBe(0o755);
    expect(ownersIn(root).get("/usr/x")).toBe("lib");
    const [stanza] = statusStanzas(root);
    expect(stanza?.name).toBe("lib");
    expect(stanza?.fields).toMatch(/^Package: lib\nStatus: install ok unpacked\nVersion: 1\n/);
  });

  it("makes the list of digests that a package lacks", async () => {
    const root = emptyTree();
    const data = [
      { name: "./usr/" },
      { name: "./usr/x", content: "x" },
      { name: "./usr/hard", link: "./usr/x", flag: "1" },
      { name: "./usr/link", link: "x" },
    ];
    place(root, [await stage("a", { data })]);
    const sum = "9dd4e461268c8034f5c8564e155c67a6";
    expect(read(root, "info/a.md5sums")).toBe(`${sum}  usr/x\n${sum}  usr/hard\n`);
  });

  it("notes interests, and leaves to dpkg's next run what a package activates", async () => {
    const root = emptyTree();
    place(root, [
      await stage("watcher", {
        control: {
          triggers:
            "# why\ninterest-noawait /usr/share/man\ninterest index\ninterest-await more\nactivate-noawait ldconfig\n",
        },
      }),
      await stage("page", {
        fields: "Multi-Arch: same\n",
        control: { triggers: "activate index\n" },
        data: [
          { name: "./usr/" },
          { name: "./usr/share/" },
          { name: "./usr/share/man/" },
          { name: "./usr/share/man/page", content: "x" },
        ],
      }),
    ]);
    expect(read(root, "triggers/File")).toBe("/usr/share/man watcher/noawait\n");
    expect(read(root, "triggers/index")).toBe("watcher\n");
    expect(read(root, "triggers/more")).toBe("watcher\n");
    expect(read(root, "triggers/Unincorp")).toBe("ldconfig -\n/usr/share/man page:amd64\nindex page:amd64\n");
    await expect(
      stage("bad", { control: { triggers: "shout x\n" } }).then((one) => place(root, [one])),
    ).rejects.toThrow("an unknown trigger directive shout");
  });

  it("tells conffiles with their flags", async () => {
    const root = emptyTree();
    const control = { conffiles: "/etc/a\nremove-on-upgrade /etc/old\n" };
    place(root, [
      await stage("a", { control, data: [{ name: "./etc/" }, { name: "./etc/a", content: "a" }] }),
    ]);
    expect(read(root, "status")).toContain(
      "\nConffiles:\n /etc/a newconffile\n /etc/old newconffile remove-on-upgrade\n\n",
    );
  });
});
