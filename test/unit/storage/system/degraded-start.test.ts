import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Storage } from "../../../../src/schema/storage.ts";
import { storageProblems } from "../../../../src/storage/check/check-graph.ts";
import { degradedStartFiles } from "../../../../src/storage/system/degraded-start.ts";
import { holding } from "../../../helpers/builders/storage.ts";
import { storageFor } from "../../../helpers/builders/storage-steps.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const member = [holding({ type: "btrfs-member", pool: "system" })];
const half = (serial: string) => ({ match: { serial }, table: { type: "gpt", partitions: member } });
const pool = (more: object) =>
  Storage.parse({
    disks: { a: half("A"), b: half("B") },
    pools: { system: { subvolumes: { "@": { mount: "/" } }, ...more } },
  });

describe("startDegraded", () => {
  it("is said of the root's pool, and of nothing that is not mirrored", () => {
    const told = (more: object) => storageProblems(pool(more)).map(({ message }) => message);
    expect(told({ startDegraded: true })).toEqual([]);
    expect(told({ startDegraded: true, data: "single" }).join()).toContain("raid1 or raid10");
    const other = storageFor([member, member], {
      pools: { system: { mount: "/srv", startDegraded: true } },
    });
    expect(storageProblems(other)[0]?.message).toContain("only for the pool that holds `/`");
  });

  it("is not done unasked", () => {
    expect(degradedStartFiles(pool({}))).toEqual([]);
  });
});

describe("the initramfs' script", () => {
  const script = degradedStartFiles(pool({ startDegraded: true }))[0]!;

  /** Runs it as an initramfs does, but with commands of our own; gives what it leaves for the mount. */
  function run(disks: { readonly found: boolean; readonly completeAfter: number }, flags: string): string {
    const at = tempDir();
    const text = script.content
      .replace("/scripts/functions", join(at, "functions"))
      .replace("/conf/param.conf", join(at, "param.conf"))
      .replaceAll("/dev/md?*", join(at, "no-array*"));
    writeFileSync(
      join(at, "functions"),
      `resolve_device() { ${disks.found ? "echo /dev/vda2" : "return 1"}; }
log_warning_msg() { echo "$*"; }
sleep() { echo . >> ${at}/slept; }
btrfs() { [ "$2" = scan ] || [ "$(cat ${at}/slept 2>/dev/null | wc -l)" -ge ${disks.completeAfter} ]; }
`,
    );
    execFileSync("sh", ["-c", text], { env: { PATH: process.env.PATH, ROOT: "UUID=x", ROOTFLAGS: flags } });
    const file = join(at, "param.conf");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  it("runs behind btrfs' own", () => {
    const told = execFileSync("sh", ["-c", script.content, "imgbuild-pool", "prereqs"], { encoding: "utf8" });
    expect([script.mode, told]).toEqual(["0755", "btrfs\n"]);
  });

  it("leaves the mount as it is where all disks come in time, be it late", () => {
    expect(run({ found: true, completeAfter: 0 }, "-o subvol=@")).toBe("");
    expect(run({ found: true, completeAfter: 15 }, "-o subvol=@")).toBe("");
  });

  it("mounts degraded where one does not come, and keeps the flags there are", () => {
    expect(run({ found: true, completeAfter: 999 }, "-o subvol=@")).toBe(
      "ROOTFLAGS='-o subvol=@,degraded'\n",
    );
    expect(run({ found: true, completeAfter: 999 }, "")).toBe("ROOTFLAGS='-o degraded'\n");
  });

  it("leaves it to the wait for the root where no disk comes at all", () => {
    expect(run({ found: false, completeAfter: 999 }, "-o subvol=@")).toBe("");
  });
});
