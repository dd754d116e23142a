import type { PlanView } from "../operator/deploy-run.ts";

/** What a tired person has to read right: the host, then every disk with its fate, then the steps. */
export function planLines(view: PlanView): string[] {
  const { facts } = view;
  const lines = [
    "",
    `host      ${facts.hostname}: ${facts.os.name}, ${facts.firmware}, ${facts.memoryMib.total} MiB of memory`,
  ];
  for (const disk of view.disks) {
    const seen = facts.disks.find((one) => same(one, disk));
    const what = `${disk.model?.trim() || "no model"}, ${idOf(disk)}, ${gib(disk.sizeBytes)}`;
    lines.push(
      `${disk.action === "written" ? "WIPE      " : "keep      "}${disk.name}: ${what}, now ${seen?.name ?? "unknown"}`,
    );
    for (const part of seen?.partitions ?? []) {
      const mounted = part.mountPoints.length > 0 ? ` on ${part.mountPoints.join(", ")}` : "";
      lines.push(
        `            ${disk.action === "written" ? "lost" : "kept"}: ${part.name} ${gib(part.sizeBytes)} ${part.fsType ?? "no filesystem"}${mounted}`,
      );
    }
  }
  const others = facts.disks.filter((one) => !view.disks.some((disk) => same(one, disk)));
  for (const other of others)
    lines.push(
      `untouched ${other.name}: ${other.model?.trim() || "no model"}, ${idOf(other)}, ${gib(other.sizeBytes)}`,
    );
  lines.push("", ...view.plan.steps.map((step, index) => `${String(index + 1).padStart(3)}. ${step.doing}`));
  lines.push("", `plan      ${view.planDigest}`, "");
  return lines;
}

type Named = { readonly serial?: string | null | undefined; readonly wwn?: string | null | undefined };

/** A disk may be known by its wwn alone. */
function same(
  one: Named & { readonly sizeBytes: number },
  disk: Named & { readonly sizeBytes: number },
): boolean {
  return (
    (one.serial ?? null) === (disk.serial ?? null) &&
    (one.wwn ?? null) === (disk.wwn ?? null) &&
    one.sizeBytes === disk.sizeBytes
  );
}

function idOf({ serial, wwn }: Named): string {
  return serial == null && wwn != null ? `wwn ${wwn}` : `serial ${serial ?? "none"}`;
}

function gib(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}
