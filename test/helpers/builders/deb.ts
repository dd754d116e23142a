import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LockedPackage } from "../../../src/schema/lock.ts";
import { tempDir } from "../temp-dir.ts";

export interface DebMember {
  readonly name: string;
  readonly content?: string | Buffer;
  /** '0' a file, '1' a hard link, '2' a symbolic link, '5' a directory, …; by default as name and content say. */
  readonly flag?: string;
  readonly mode?: number;
  readonly link?: string;
  readonly userName?: string;
  readonly groupName?: string;
  readonly mtime?: number;
}

/** A member of an ar archive as dpkg-deb writes it (deb(5)). */
export function arMember(
  name: string,
  content: Buffer | string,
  size: number | string = content.length,
): Buffer {
  const header = `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(size).padEnd(10)}\`\n`;
  const bytes = Buffer.from(content as string, "latin1");
  return Buffer.concat([Buffer.from(header, "latin1"), bytes, Buffer.alloc(bytes.length % 2, "\n")]);
}

/** An archive as dpkg-deb writes it: ustar with GNU's long names, owned by who runs the test. */
export function tarOf(members: readonly DebMember[], end = 1024): Buffer {
  return Buffer.concat([...members.flatMap(tarMember), Buffer.alloc(end)]);
}

function tarMember(member: DebMember): Buffer[] {
  const { name, link = "" } = member;
  const content = Buffer.from((member.content ?? "") as string, "utf8");
  const flag = member.flag ?? (name.endsWith("/") ? "5" : link !== "" ? "2" : "0");
  const long = (text: string, kind: string) =>
    Buffer.byteLength(text) > 100
      ? tarMember({ name: "././@LongLink", content: `${text}\0`, flag: kind })
      : [];
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number, at: number) =>
    header.write(`${value.toString(8).padStart(digits, "0")}\0`, at, "latin1");
  header.write(name.slice(0, 100), 0, "utf8");
  octal(member.mode ?? (flag === "5" ? 0o755 : 0o644), 7, 100);
  octal(process.getuid!(), 7, 108);
  octal(process.getgid!(), 7, 116);
  octal(content.length, 11, 124);
  octal(member.mtime ?? 1_000_000_000, 11, 136);
  header.write(flag, 156, "latin1");
  header.write(link.slice(0, 100), 157, "utf8");
  header.write("ustar  \0", 257, "latin1");
  header.write(member.userName ?? "", 265, "utf8");
  header.write(member.groupName ?? "", 297, "utf8");
  header.fill(" ", 148, 156);
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    6,
    148,
  );
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return [...long(name, "L"), ...long(link, "K"), header, content, padding];
}

/** A package that nothing compresses; `control` maps dpkg's files to their content, data comes as it is given. */
export function makeDeb(
  name: string,
  options: {
    readonly fields?: string;
    readonly control?: Readonly<Record<string, string>>;
    readonly data?: readonly DebMember[];
    /** Where the file is made; else in a directory that goes with the test. */
    readonly directory?: string;
  } = {},
): { readonly file: string; readonly locked: LockedPackage } {
  const fields = `Package: ${name}\nVersion: 1\nArchitecture: amd64\nMaintainer: nobody\nDescription: x\n${options.fields ?? ""}`;
  const control = Object.entries({ control: fields, ...options.control }).map(([file, content]) => ({
    name: `./${file}`,
    content,
    mode: file === "preinst" || file === "postinst" ? 0o755 : 0o644,
  }));
  const file = join(options.directory ?? tempDir(), `${name}.deb`);
  const parts = [
    arMember("debian-binary", "2.0\n"),
    arMember("control.tar", tarOf([{ name: "./" }, ...control])),
    arMember("data.tar", tarOf([{ name: "./" }, ...(options.data ?? [])])),
  ];
  writeFileSync(file, Buffer.concat([Buffer.from("!<arch>\n"), ...parts]));
  const locked: LockedPackage = {
    name,
    version: "1",
    architecture: "amd64",
    archive: "debian",
    path: `pool/${name}.deb`,
    size: 1,
    sha256: "0".repeat(64),
    requested: false,
    bootstrap: false,
  };
  return { file, locked };
}
