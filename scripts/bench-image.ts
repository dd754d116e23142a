import { link, rm } from "node:fs/promises";
import { join } from "node:path";
import { forgetImage, image, inRoot, type Mkosi, mkosi, prepareMkosi } from "./bench-mkosi.ts";
import { inTurns, type Row, row, timed } from "./bench-rows.ts";
import { build, forgetTrees, type Server } from "./bench-server.ts";

const espType = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
const rootType = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";

/** From the definition to a raw image that boots, against mkosi of Debian 13 in a Debian 13 root. */
export async function imageRows(server: Server): Promise<Row[]> {
  const peer = await prepareMkosi(server);
  const best = await inTurns(
    async () => {
      await forgetTrees(server);
      const look = async (made: string) => {
        const inside = join(peer.root, image);
        await rm(inside, { force: true });
        await link(made, inside);
        await expectWhole(peer, server);
      };
      return await build(server, "raw", { look });
    },
    async () => {
      await forgetImage(peer);
      const spent = await timed(() => mkosi(peer));
      await expectWhole(peer, server);
      return spent;
    },
  );
  const version = (await inRoot(peer, ["dpkg-query", "--show", "mkosi"])).stdout.trim().split("\t")[1];
  return [row("image-cold", best, { against: `mkosi ${version}`, atMost: 0.25 })];
}

/** An image that lacks something is no image: it would be made quickly. */
async function expectWhole(peer: Mkosi, server: Server): Promise<void> {
  const table = JSON.parse((await inRoot(peer, ["sfdisk", "--json", image])).stdout) as {
    partitiontable: { partitions: { start: number; type: string }[] };
  };
  const offset = (type: string) => {
    const found = table.partitiontable.partitions.find((one) => one.type === type);
    if (found === undefined) throw new Error(`the image has no partition of type ${type}`);
    return found.start * 512;
  };
  const esp = `${image}@@${offset(espType)}`;
  await inRoot(peer, ["mdir", "-i", esp, "::/EFI/BOOT/BOOTX64.EFI"]);
  const root = `${image}?offset=${offset(rootType)}`;
  const read = (path: string) => inRoot(peer, ["debugfs", "-R", `cat ${path}`, root]);
  const status = (await read("/var/lib/dpkg/status")).stdout;
  const installed = new Map(
    status.split("\n\n").map((text) => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(text)?.[1] ?? "";
      return [field("Package"), field("Status") === "install ok installed" ? field("Version") : ""];
    }),
  );
  const lacking = server.lock.packages.filter((one) => installed.get(one.name) !== one.version);
  if (lacking.length > 0)
    throw new Error(`the image lacks ${lacking.map(({ name, version }) => `${name}=${version}`).join(", ")}`);
  await inRoot(peer, ["e2fsck", "-fn", root]);
}
