import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { grubMenu } from "../../src/boot/grub.ts";
import { debugfsScript } from "../../src/disks/filesystem/debugfs.ts";
import { parseMountinfo } from "../../src/disks/mountinfo.ts";
import { checksumLine } from "../../src/operator/build/finish-output.ts";
import { mkfsVfatImage } from "../../src/steps/image/mkfs-vfat-image.ts";
import type { StepContext } from "../../src/steps/step/step.ts";
import { fstabField } from "../../src/storage/system/fstab.ts";
import { treeCopy } from "../../src/system/files/overlay.ts";
import { run } from "../../src/system/run/run.ts";
import { judge, parseKnownHosts } from "../../src/transport/known-hosts.ts";
import { sha256 } from "../../src/util/digest.ts";
import { render } from "../../src/util/template.ts";
import {
  batches,
  expectSame,
  howMany,
  maxBuffer,
  oddStrings,
  seed,
  testMs,
  through,
} from "../helpers/builders/odd-strings.ts";
import { tempDir } from "../helpers/temp-dir.ts";

describe(`a string that is quoted is itself again to the real program (F39, ${howMany} strings, IMGBUILD_SEED=${seed})`, () => {
  const words = oddStrings(howMany, seed);

  it("to libmount, as a field of fstab", { timeout: testMs }, () => {
    const file = join(tempDir(), "fstab");
    // A field is never empty, and the words of mount options have a schema of their own.
    const fields = words.map((word) => `/${word}`);
    const back = batches(fields, 5_000).flatMap((batch) => {
      writeFileSync(
        file,
        batch.map((field) => `${fstabField(`x${field}`)} ${fstabField(field)} ext4 defaults 0 2\n`).join(""),
      );
      const argv = ["--tab-file", file, "--json", "--list", "--output", "SOURCE,TARGET"];
      const out = execFileSync("findmnt", argv, { encoding: "utf8", maxBuffer });
      const { filesystems } = JSON.parse(jsonOf(out)) as {
        filesystems: { source: string; target: string }[];
      };
      return filesystems.map(({ source, target }) => {
        expect(source).toBe(`x${target}`);
        return target;
      });
    });
    expectSame(back, fields);
  });

  it("to GRUB's parser, whose single quotes are a shell's", { timeout: testMs }, () => {
    const place = { uuid: "u-u", directory: "/boot", links: "" };
    const ascii = words.filter((word) => word !== "");
    const menus = batches(ascii, 2_000).map((batch) =>
      grubMenu({ place, cmdline: batch, consoles: [], timeoutSeconds: 1, title: batch[0]! }),
    );
    for (const menu of menus) execFileSync("grub-script-check", { input: menu });
    // The words themselves, read as a shell reads them; what GRUB then puts before quotes, `KernelWord` excludes.
    const back = menus.flatMap((menu) => {
      const from = menu.indexOf("  linux ");
      const line = menu.slice(from + "  linux /vmlinuz ".length, menu.indexOf("\n  initrd ", from));
      return through(["dash"], [line], ([text]) => `set -f; set -- ${text}; printf '%s\\0' "$@"`);
    });
    expectSame(back, ascii);
  });

  it("to debugfs, as a name, a link's target and a source", { timeout: testMs * 2 }, () => {
    const dir = tempDir();
    const image = join(dir, "image");
    execFileSync("mke2fs", [
      "-q",
      "-t",
      "ext4",
      "-N",
      String(howMany + 2_000),
      image,
      `${64 + howMany / 500}M`,
    ]);
    // Inode numbers in angle brackets and control characters have no words, and are done by other means.
    const odd = { without: /[\p{Cc}/]/u, maxBytes: 120 };
    const names = [...new Set(oddStrings(howMany, seed + 1, odd))].filter(
      (name) => !/^$|^\.\.?$|^</.test(name),
    );
    const root = { uid: 0, gid: 0, mtime: 5 };
    const groups = batches(names, 250);
    const script = groups.map((group, index) =>
      debugfsScript(
        [
          { do: "mkdir", path: `/d${index}`, mode: 0o755, ...root },
          ...group.map(
            (name) =>
              ({ do: "symlink", path: `/d${index}/${name}`, link: name, mode: 0o777, ...root }) as const,
          ),
        ],
        5,
      ),
    );
    writeFileSync(join(dir, "script"), script.join(""));
    const said = execFileSync("debugfs", ["-w", "-f", join(dir, "script"), image], {
      encoding: "utf8",
      maxBuffer,
      stdio: "pipe",
    });
    expect(
      said
        .split("\n")
        .filter(
          (line) => line !== "" && !line.startsWith("debugfs: ") && !line.startsWith("Allocated inode"),
        ),
    ).toEqual([]);
    const out = join(dir, "out");
    mkdirSync(out);
    execFileSync("debugfs", ["-R", `rdump / ${out}`, image], { stdio: "pipe" });
    for (const [index, group] of groups.entries()) {
      const found = readdirSync(join(out, `d${index}`)).sort();
      expectSame(found, [...group].sort());
      expectSame(
        found.map((name) => readlinkSync(join(out, `d${index}`, name))),
        found,
      );
    }
  });

  it("to debugfs, in the longest line that it reads", () => {
    const dir = tempDir();
    const image = join(dir, "image");
    execFileSync("mke2fs", ["-q", "-t", "ext4", "-b", "4096", image, "16M"]);
    const link = '"'.repeat(4_080);
    const change = { do: "symlink", path: "/x", link, mode: 0o777, uid: 0, gid: 0, mtime: 5 } as const;
    const script = debugfsScript([change], 5);
    expect(Math.max(...script.split("\n").map((line) => line.length))).toBeGreaterThan(8_170);
    writeFileSync(join(dir, "script"), script);
    execFileSync("debugfs", ["-w", "-f", join(dir, "script"), image], { stdio: "pipe" });
    execFileSync("debugfs", ["-R", `rdump / ${dir}`, image], { stdio: "pipe" });
    expect(readlinkSync(join(dir, "x"))).toBe(link);
    expect(() => debugfsScript([{ ...change, link: `${link}${'"'.repeat(12)}` }], 5)).toThrow(/no line/);
  });

  it("to a reader of XML, as text and as an attribute", { timeout: testMs }, () => {
    const said = words.flatMap((word) => {
      const { text, problems } = render('<a t="{{word | xml}}">{{word | xml}}</a>', { word });
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what XML 1.0 cannot say
      expect(problems.length > 0, JSON.stringify(word)).toBe(/[\0-\x08\x0b\x0c\x0e-\x1f]/.test(word));
      return problems.length > 0 ? [] : [{ word, text }];
    });
    expect(said.length).toBeGreaterThan(howMany / 4);
    const reader = `import sys, json, xml.etree.ElementTree as e
json.dump([[a.get("t"), a.text or ""] for a in e.fromstring(sys.stdin.buffer.read())], sys.stdout)`;
    const input = `<?xml version="1.0" encoding="UTF-8"?><all>${said.map(({ text }) => text).join("\n")}</all>`;
    const out = execFileSync("python3", ["-c", reader], { input, encoding: "utf8", maxBuffer });
    const read = JSON.parse(out) as [string, string][];
    for (const place of [0, 1] as const)
      expectSame(
        read.map((one) => one[place]),
        said.map(({ word }) => word),
      );
  });

  it("to sha256sum, as a file's name in its list", { timeout: testMs }, () => {
    // "-" is its standard input, whatever is done.
    const dir = tempDir();
    const names = [...new Set(oddStrings(howMany, seed + 4, { without: /\/|\0/, maxBytes: 200 }))].filter(
      (name) => !/^(-|\.{0,2})$/.test(name),
    );
    for (const name of names) writeFileSync(join(dir, name), name);
    const list = names.map((name) => checksumLine(sha256(name), join("/elsewhere", name))).join("");
    execFileSync("sha256sum", ["--check", "--quiet", "--strict", "-"], {
      cwd: dir,
      input: list,
      stdio: "pipe",
    });
  });

  it("by the kernel, as a mount point in mountinfo", { timeout: testMs * 2 }, () => {
    const dir = tempDir();
    const names = [...new Set(oddStrings(howMany / 10, seed + 5, { without: /\//, maxBytes: 100 }))].filter(
      (name) => !/^\.{0,2}$/.test(name),
    );
    for (const name of names) mkdirSync(join(dir, name));
    const script = `while IFS= read -r -d "" name; do mount -t tmpfs -o size=4k none "$1/$name" || exit; done; cat /proc/self/mountinfo`;
    const out = execFileSync("unshare", ["--mount", "bash", "-c", script, "bash", dir], {
      input: names.map((name) => `${name}\0`).join(""),
      encoding: "utf8",
      maxBuffer,
    });
    const points = parseMountinfo(out).map(({ point }) => point);
    expectSame(
      points.filter((point) => point.startsWith(`${dir}/`)).sort(),
      names.map((name) => join(dir, name)).sort(),
    );
  });

  it("by OpenSSH, as a pattern of known_hosts", { timeout: testMs }, () => {
    const file = join(tempDir(), "known_hosts");
    const key = Buffer.concat([
      Buffer.from([0, 0, 0, 11]),
      Buffer.from("ssh-ed25519"),
      Buffer.from([0, 0, 0, 32]),
      Buffer.alloc(32, 7),
    ]);
    const patterns = oddStrings(howMany, seed + 6, { without: /\s|[\p{Cc}\p{Cf}|]/u, maxBytes: 60 })
      .map((one, index) => (index % 3 === 0 ? `${one},*` : index % 3 === 1 ? `?${one},!word*` : `*${one}`))
      .filter((one) => !/^[#@]/.test(one) && !one.includes('"'));
    const lines = patterns.map((pattern) => `${pattern} ssh-ed25519 ${key.toString("base64")}\n`);
    writeFileSync(file, lines.join(""));
    const known = parseKnownHosts(lines.join(""), file);
    for (const name of ["word", "wordy", "a.b", "7z", "[host]:2200", "z-n", "aa", "host.example.org"]) {
      const found = spawnSync("ssh-keygen", ["-F", name, "-f", file], { encoding: "utf8", maxBuffer });
      const theirs = [...found.stdout.matchAll(/found: line (\d+)/g)].map(([, line]) => Number(line));
      const ours = known.filter((one) => judge([one], name, key).kind === "known").map(({ line }) => line);
      expectSame(
        ours.map((line) => patterns[line - 1]!),
        theirs.map((line) => patterns[line - 1]!),
      );
    }
  });

  it("to mtools, as a name on a boot partition", { timeout: testMs }, async () => {
    const dir = tempDir();
    const names = [
      ...new Set(
        oddStrings(howMany / 5, seed + 7, {
          without: /[\p{Cc}\p{Cf}\p{L}\p{M}\p{S}"*/:<>?\\|\s]/u,
          maxBytes: 100,
        }).map((one, index) => `${one}${index}`),
      ),
    ];
    const from = join(dir, "from");
    const place = (index: number) => `${names[index % 12]!}/f${names[index]!}`;
    for (const index of names.keys()) {
      mkdirSync(join(from, names[index % 12]!), { recursive: true });
      writeFileSync(join(from, place(index)), place(index));
    }
    const image = join(dir, "image");
    writeFileSync(image, "");
    truncateSync(image, 257 * 2 ** 20);
    const tool = (argv: readonly string[], options: object) => run(argv, options);
    const step = { image, offsetBytes: 2 ** 20, sizeBytes: 2 ** 28, volumeId: "1A2B3C4D", directory: from };
    await mkfsVfatImage.run({ ...step, mountPoint: join(dir, "efi"), epoch: 1 }, {
      tool,
      root: dir,
    } as unknown as StepContext);
    const out = join(dir, "out");
    mkdirSync(out);
    await run(["mcopy", "-s", "-n", "-i", `${image}@@${2 ** 20}`, "::/*", out]);
    const back = [...names.keys()].map((index) => readFileSync(join(out, place(index)), "utf8"));
    expectSame(back, [...names.keys()].map(place));
  });

  it("to nothing at all, as a directory in which a tree is laid over another", {
    timeout: testMs,
  }, async () => {
    const top = tempDir();
    const names = [...new Set(oddStrings(howMany / 100, seed + 8, { without: /\//, maxBytes: 80 }))].filter(
      (name) => !/^\.{0,2}$/.test(name),
    );
    for (const name of names) {
      const lower = join(top, name, "lower:layer,");
      mkdirSync(lower, { recursive: true });
      writeFileSync(join(lower, "own"), name);
      const copy = await treeCopy(lower, join(top, name));
      try {
        expect(copy.upper).toBeDefined();
        writeFileSync(join(copy.tree, "new"), "x");
        expectSame([readFileSync(join(copy.tree, "own"), "utf8")], [name]);
        expect(readdirSync(copy.upper!)).toEqual(["new"]);
      } finally {
        await copy.close();
      }
    }
  });
});

/** util-linux 2.38 writes control characters into JSON as they are. */
function jsonOf(text: string): string {
  return text.replace(/(?!\n)\p{Cc}/gu, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
