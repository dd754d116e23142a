import type { Lock } from "../../schema/lock.ts";
import type { Spec } from "../../schema/spec.ts";
import { writtenDisks } from "../../storage/graph/check-storage.ts";
import { firstInstall } from "../../storage/table/first-install.ts";
import { type LaidPartition, layoutOf } from "../../storage/table/gpt.ts";
import { releases } from "../../tables/release.ts";
import { exitCodes, Fail } from "../../util/fail.ts";

const sectorSize = 512;
const unitName = "imgbuild-grow.service";
/** Not where systemd-repart.service looks: it is for us alone. */
const definitions = "/usr/lib/imgbuild/repart.d";

/**
 * The spec with a unit by which a system that finds itself on a larger disk takes all of it: the last partition, and the ext4 in it.
 * It does so at every start, since disks of virtual machines grow later too; where nothing is to be grown nothing is done.
 */
export function withGrowth(spec: Spec, lock: Lock): Spec {
  const { partitions, mount } = lastExt4(spec);
  if (!lock.packages.some(({ name }) => name === repartPackage(spec)))
    throw new Fail(
      `--minimize: the system grows by ${repartPackage(spec)}, which is not among its packages`,
      {
        hint: `add "${repartPackage(spec)}" to packages.install, and run \`imgbuild lock\``,
      },
    );
  return {
    ...spec,
    files: { ...spec.files, ...repartFiles(partitions) },
    services: { ...spec.services, [unitName]: { state: "enabled", unit: unitText(mount) } },
  };
}

function repartPackage({ system }: Spec): string {
  return releases[system.suite].systemdInParts ? "systemd-repart" : "systemd";
}

function lastExt4({ storage }: Spec): { partitions: readonly LaidPartition[]; mount: string } {
  const [first, ...more] = storage === undefined ? [] : writtenDisks(firstInstall(storage));
  if (first === undefined || more.length > 0)
    throw usage(`--minimize: the definition writes ${more.length + (first ? 1 : 0)} disks, not one`);
  const [name, disk] = first;
  if (disk.table.type !== "gpt") throw usage("--minimize: only a GPT can be grown");
  const { partitions } = layoutOf(disk, disk.imageSize, sectorSize, { seed: "", name });
  const last = partitions.at(-1);
  if (last?.content?.type !== "ext4")
    throw usage(
      `--minimize: the last partition, ${last?.name ?? "which is none"}, is no ext4 and cannot shrink`,
    );
  return { partitions, mount: last.content.mount };
}

/**
 * repart.d(5). Partitions are matched with files by type, both in their order, so those before the last that are of its type have a
 * file too. None of them can grow: there is no room after them.
 */
function repartFiles(partitions: readonly LaidPartition[]): Spec["files"] {
  const last = partitions.at(-1)!;
  const same = partitions.filter(({ typeGuid }) => typeGuid === last.typeGuid);
  return Object.fromEntries(
    same.map(({ name, typeGuid }, index) => [
      `${definitions}/${String(index + 10)}-${name}.conf`,
      {
        content: `[Partition]\nType=${typeGuid.toLowerCase()}\n`,
        mode: "0644",
        owner: "root",
        group: "root",
      },
    ]),
  );
}

function unitText(mount: string): string {
  return `[Unit]
Description=Grow the last partition and its filesystem to fill the disk
Documentation=man:systemd-repart(8) man:systemd-growfs(8)
DefaultDependencies=no
Conflicts=shutdown.target
After=local-fs.target
Before=sysinit.target shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/systemd-repart --dry-run=no --no-pager --definitions=${definitions}
ExecStart=/usr/lib/systemd/systemd-growfs ${mount}

[Install]
WantedBy=sysinit.target
`;
}

function usage(message: string): Fail {
  return new Fail(message, { exitCode: exitCodes.usage });
}
