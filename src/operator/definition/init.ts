import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { requireParent } from "../../system/files/parent.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { usualRelease } from "../../tables/release.ts";
import { Fail } from "../../util/fail.ts";

const template = `import { biosBoot, dhcp, disk, esp, gpt, image, readLines, root, unitIsActive } from "imgbuild";

export default image({
  hostname: "server",
  system: { suite: "${usualRelease}" },
  packages: {
    install: ["apt", "dbus", "e2fsprogs", "initramfs-tools", "${onlyArchitecture.packages.kernel}", "openssh-server", "sudo", "systemd-resolved", "systemd-sysv", "udev", "zstd"],
  },
  storage: {
    disks: {
      // The disk to be written. \`imgbuild plan\` shows the server's disks, each with the \`match\` that means it: many
      // clouds give no serials. Where it shows a \`host\` as well, put that above: it binds this file to the server.
      system: disk({ match: { serial: "CHANGE-ME" }, table: gpt(biosBoot(), esp(), root()) }),
    },
  },
  boot: { firmware: ["uefi", "bios"] },
  network: { ethernet: dhcp("e*") },
  // authorized_keys is beside this file: one public key a line.
  users: { admin: { comment: "Administrator", sudo: true, keys: readLines("authorized_keys") } },
  health: [unitIsActive("ssh.service")],
});
`;
const keys = "# One public key a line, as in ~/.ssh/authorized_keys.\n";

/** Writes a definition to start from into a new or empty directory; gives the files. */
export async function initDefinition(directory: string): Promise<string[]> {
  await requireParent(directory);
  await mkdir(directory).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST" || !(await stat(directory)).isDirectory()) throw error;
  });
  const there = await readdir(directory);
  if (there.length > 0)
    throw new Fail(`${directory} is not empty: it holds ${there.slice(0, 3).join(", ")}`, {
      hint: "name a directory that does not exist yet",
    });
  const files: [string, string][] = [
    ["IMGBUILD.ts", template],
    ["authorized_keys", keys],
  ];
  for (const [name, content] of files) await writeFile(join(directory, name), content, { flag: "wx" });
  await mkdir(join(directory, "files"));
  return files.map(([name]) => join(directory, name));
}
