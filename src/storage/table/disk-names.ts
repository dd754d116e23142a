import { mib } from "../../disks/place-partitions.ts";
import type { DiskFacts } from "../../schema/facts.ts";
import type { DiskMatch } from "../../schema/storage.ts";

/** Serials that a hypervisor gives by the slot: each of its machines has them. QEMU, Google, OpenStack, libvirt. */
const slotSerials = [
  /^drive-/i,
  /^QM\d{5}$/i,
  /^(persistent-disk|volume|disk|lun|root|boot|data|sys|system)[-_]?\d*$/i,
  /^[svx]v?d[a-z]$/i,
  /^beaf[0-9a-f]{1,8}$/i,
];

/** Whether no other disk anywhere is likely to have this serial. */
export function isOwnSerial(serial: string): boolean {
  const word = serial.trim();
  return word.length >= 4 && !isFiller(word) && !slotSerials.some((slot) => slot.test(word));
}

/** The same of a WWN as /sys has it. Where a disk has none, the kernel puts one together of maker, model and serial. */
export function isOwnWwn(wwn: string): boolean {
  const word = wwn.trim();
  const nvme = /^nvme\.[0-9a-f]+-([0-9a-f]+)-[0-9a-f]+-[0-9a-f]+$/i.exec(word);
  if (nvme !== null) return isOwnSerial(Buffer.from(nvme[1]!, "hex").toString("latin1"));
  if (/^t10\./i.test(word)) return isOwnSerial(/\S+$/.exec(word)![0]);
  return !isFiller(word.replace(/^(naa|eui|uuid)\.|^0x/i, ""));
}

/** "00000000", "0123456789": what stands where nothing was filled in. */
function isFiller(word: string): boolean {
  const digits = word.replace(/[^0-9a-z]/gi, "");
  return (
    /^(.)\1*$/.test(digits) ||
    /^0*[0-9]{1,3}$/.test(digits) ||
    "0123456789abcdef".startsWith(digits.toLowerCase())
  );
}

/** Whether a match is by something that no disk of another machine has. */
export function isOwnMatch({ serial, wwn, byId }: DiskMatch, disk: DiskFacts): boolean {
  if (serial !== undefined && isOwnSerial(serial)) return true;
  if (wwn !== undefined && isOwnWwn(wwn)) return true;
  if (byId === undefined) return false;
  const seen = disk.serial?.trim().replace(/\s+/g, "_");
  return (
    (/^(wwn-0x|nvme-eui\.)/.test(byId) && isOwnWwn(byId.replace(/^(wwn-0x|nvme-eui\.)/, ""))) ||
    (seen !== undefined && byId.endsWith(seen) && isOwnSerial(seen))
  );
}

/** A `match` that finds this disk and no other one of the machine, as a definition has it; undefined where there is none. */
export function suggestedMatch(disk: DiskFacts, disks: readonly DiskFacts[]): string | undefined {
  const others = disks.filter(({ name }) => name !== disk.name);
  const alone = (of: (one: DiskFacts) => readonly (string | undefined)[], value: string) =>
    !others.some((disk) => of(disk).some((other) => other?.trim() === value.trim()));
  const { serial, wwn, byPath = [], byId = [], tableUuid } = disk;
  // What only this disk has, then what only this machine knows it by.
  const words: [key: string, value: string | undefined, of: (one: DiskFacts) => (string | undefined)[]][] = [
    ["serial", serial !== undefined && isOwnSerial(serial) ? serial : undefined, (disk) => [disk.serial]],
    ["wwn", wwn !== undefined && isOwnWwn(wwn) ? wwn : undefined, (disk) => [disk.wwn]],
    ["path", byPath.find(isName), (disk) => disk.byPath ?? []],
    ["byId", byId.find(isName), (disk) => disk.byId ?? []],
    ["serial", serial, (disk) => [disk.serial]],
    ["wwn", wwn, (disk) => [disk.wwn]],
    ["tableUuid", tableUuid?.toLowerCase(), (disk) => [disk.tableUuid?.toLowerCase()]],
  ];
  const found = words.find(([, value, of]) => value !== undefined && alone(of, value));
  if (found === undefined) return undefined;
  const [key, value] = found;
  // A port says nothing of what is plugged into it.
  const size = key === "path" || key === "tableUuid" ? sizeWords(disk.sizeBytes) : "";
  return `match: { ${key}: ${JSON.stringify(value!.trim())}${size} }`;
}

function sizeWords(sizeBytes: number): string {
  const [least, most] = [Math.floor(sizeBytes / mib), Math.ceil(sizeBytes / mib)];
  return least < 1 ? "" : `, minSize: "${least}MiB", maxSize: "${most}MiB"`;
}

/** As `match` takes names of udev's. */
function isName(word: string): boolean {
  return /^[A-Za-z0-9_.:+@=-]{1,200}$/.test(word);
}
