import { describe, expect, it } from "vitest";
import { PackageTable } from "../../../../src/debian/package/package-table.ts";
import { tabulate } from "../../../../src/debian/package/packages-file.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { candidate, packagesText, trixie } from "../../../helpers/builders/candidate.ts";

const bash = candidate("bash", { essential: true, priority: "required", preDepends: "libc6 (>= 2)" });
const perl = candidate("perl", { multiArch: "allowed", provides: "perlapi-5.40, perl5", source: "perl (2)" });
const packages = [
  bash,
  candidate("libc6", { version: "2.41-12" }),
  candidate("libc6", { version: "2.42-1" }),
  perl,
  candidate("app", { depends: "lib (>= 1) | perl5", architecture: "all" }),
];
const tableOf = (text: string) => new PackageTable(tabulate(text, "amd64"), trixie);
const table = tableOf(packagesText(packages));

describe("a table of packages", () => {
  it("finds what the Packages file said of every name", () => {
    for (const one of packages) expect(table.versions(one.name)).toContainEqual(one);
    expect(table.versions("libc6").map(({ version }) => version)).toEqual(["2.41-12", "2.42-1"]);
  });

  it("finds every name among thousands", () => {
    const names = Array.from({ length: 3000 }, (_, index) => `p${(index * 7919) % 3000}`);
    const large = tableOf(packagesText(names.map((name) => candidate(name))));
    for (const name of names) expect(large.versions(name), name).toHaveLength(1);
    for (const name of ["a", "p", "p3000", "p1x", "z"]) expect(large.versions(name), name).toEqual([]);
  });

  it("knows who provides a virtual name, which has no versions", () => {
    expect(table.providers("perl5")).toEqual(["perl"]);
    expect(table.versions("perl5")).toEqual([]);
    expect(table.providers("perl")).toEqual([]);
  });

  it("counts names in the order in which they are mentioned", () => {
    const ranks = ["bash", "libc6", "perl", "perlapi-5.40", "perl5", "app", "lib"].map((name) =>
      table.rank(name),
    );
    expect(ranks).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(table.rank("unknown")).toBeUndefined();
    expect(table.head).toMatchObject({ names: 7, essential: ["bash"], required: ["bash"] });
  });

  it("lists the names of packages and what they provide, not those that are only mentioned", () => {
    expect([...table.names()]).toEqual(["app", "bash", "libc6", "perl", "perl5", "perlapi-5.40"]);
  });

  it.each(["", "{}\n", '{"table":0}\n', tabulate(packagesText(packages), "amd64").slice(0, -9)])(
    "is not made of %j",
    (text) => {
      expect(() => new PackageTable(text, trixie)).toThrow();
    },
  );
});

describe("tabulate", () => {
  const stanza = packagesText([candidate("app")]);

  it("reads folded fields, and passes over other architectures and what is not ASCII", () => {
    const text = `${stanza.trimEnd()}\nDepends: lib (>= 1),\n lib2\nDescription: für alle\n\n\n${stanza.replace("amd64", "arm64").replace("app", "other")}`;
    const read = tableOf(text);
    expect(read.versions("app")[0]?.depends).toBe("lib (>= 1), lib2");
    expect(read.versions("other")).toEqual([]);
  });

  it.each(["Package", "Filename", "SHA256", "Size", "Version"])("refuses an entry without %s", (field) => {
    const text = stanza.replace(new RegExp(`^${field}: .*\n`, "m"), "");
    expect(() => tabulate(text, "amd64")).toThrow(Fail);
    expect(() => tabulate(text, "amd64")).toThrow(/an entry without/);
  });

  it.each(["Package: -o", "Package: a b", "Version: 1 0", "Size: 0", "Size: 1e3", "SHA256: ABC"])(
    "refuses an entry with %s",
    (line) => {
      const text = stanza.replace(new RegExp(`^${line.split(":")[0]}: .*$`, "m"), line);
      expect(() => tabulate(text, "amd64")).toThrow(/an entry without/);
    },
  );
});
