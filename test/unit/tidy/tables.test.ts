import { describe, expect, it } from "vitest";
import { sourcesIn } from "../../helpers/checks/sources.ts";

interface Rule {
  /** What only the table may say. */
  readonly literals: RegExp;
  /** Files and folders that may say it too, and why. */
  readonly except: Readonly<Record<string, string>>;
}

const rules: Readonly<Record<string, Rule>> = {
  "src/tables/architecture.ts": {
    literals:
      /amd64|x86[_-]64|\bx64|x64\b|i386|q35|OVMF|edk2|0x8664|4F68BCE3-|8484680C-|2C7357ED-|\b(?:BOOT|grub|shim|mm)x64/i,
    except: {
      "src/system/door/filter.ts":
        "a table of its own: numbers of system calls, by the processor that imgbuild runs on",
    },
  },
  "src/tables/release.ts": {
    literals: /\b(?:buster|bullseye|bookworm|trixie|forky|duke|sid)\b/i,
    except: {},
  },
  "src/tables/distribution.ts": {
    literals:
      /\/var\/(?:lib|cache)\/(?:apt|dpkg)|\/etc\/apt|\/usr\/lib\/apt|archive-keyring|apt-get|["'`](?:dpkg|dpkg-query)["'`]/,
    except: {
      "src/debian/": "knows archives and packages, and dpkg's records",
      "src/steps/packages/": "has dpkg install them",
      "src/testing/stock/stock-tree.ts": "makes a Debian system by others' tools",
    },
  },
};

/** Lines of code, less comments, that say what a table alone may say. */
function offences(path: string, text: string): string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, "");
  return Object.entries(rules).flatMap(([table, { literals, except }]) =>
    path === table || Object.keys(except).some((one) => path.startsWith(one))
      ? []
      : code.split("\n").flatMap((line) => (literals.test(line) ? [`${line.trim()} (see ${table})`] : [])),
  );
}

const sources = sourcesIn("src");

describe("tables", () => {
  for (const { path, text } of sources)
    it(`${path} looks up what a table knows`, () => {
      expect(offences(path, text)).toEqual([]);
    });

  it.each([
    ['const packages = ["linux-image-amd64"];', "architecture"],
    ['put.file(loader, "EFI/BOOT/BOOTX64.EFI");', "architecture"],
    ['const root = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";', "architecture"],
    ['  machine: "q35",', "architecture"],
    ['if (suite === "bookworm") return [];', "release"],
    ["const known = /^(trixie|forky)$/;", "release"],
    ['const info = "/var/lib/dpkg/info";', "distribution"],
    ['await shell.run(["dpkg", "--audit"]);', "distribution"],
    ['hint: "apt-get install swtpm",', "distribution"],
  ])("are asked, not copied: %s is refused", (line, table) => {
    expect(offences("src/steps/disk/planted.ts", `// Planted.\n${line}\n`)).toEqual([
      `${line.trim()} (see src/tables/${table}.ts)`,
    ]);
  });

  it("may be spoken of in a comment", () => {
    expect(
      offences("src/disks/planted.ts", "/** As dpkg of bookworm does on amd64. */\nrun(); // amd64\n"),
    ).toEqual([]);
  });
  it("has no exception that no file uses", () => {
    const unused = Object.values(rules).flatMap(({ literals, except }) =>
      Object.keys(except).filter(
        (one) => !sources.some(({ path, text }) => path.startsWith(one) && literals.test(text)),
      ),
    );
    expect(unused).toEqual([]);
  });
});
