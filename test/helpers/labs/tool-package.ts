import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** A Debian package of programs of this computer, with the libraries that they load; made in that directory. */
export function packageOfPrograms(within: string, programs: readonly string[]): string {
  const directory = join(within, "package");
  for (const name of programs) {
    const program = execFileSync("which", [name]).toString().trim();
    put(program, join(directory, "usr/bin", name));
    const loaded = execFileSync("ldd", [program]).toString();
    // As the linker looks for them: by their own names, in the directories where they are.
    for (const [, library = ""] of loaded.matchAll(/(\/\S+) \(0x/g))
      put(library, join(directory, realpathSync(dirname(library)), basename(library)));
  }
  // As base-files of Debian 13 has them.
  for (const name of ["bin", "sbin", "lib", "lib64"]) symlinkSync(`usr/${name}`, join(directory, name));
  mkdirSync(join(directory, "DEBIAN"));
  writeFileSync(
    join(directory, "DEBIAN/control"),
    "Package: tools\nVersion: 1\nArchitecture: all\nMaintainer: none\nDescription: x\n",
  );
  const file = `${directory}.deb`;
  execFileSync("dpkg-deb", ["--build", "-Zgzip", "-z1", directory, file]);
  return file;
}

function put(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(realpathSync(from), to);
}
