import type { PlanView } from "../operator/deploy-run.ts";

/** What a tired person has to read right: the host, then every disk with its fate, then the steps. */
export function planLines(view: PlanView): string[] {
  const { facts } = view;
  const lines = [
    "",
    `host      ${facts.hostname}: ${facts.os.name}, ${facts.firmware}, ${facts.memoryMib.total} MiB of memory`,
  ];
  for (const disk of view.disks) {
    const seen = facts.disks.find((one) => one.serial === disk.serial && one.sizeBytes === disk.sizeBytes);
    const what = `${disk.model?.trim() || "no model"}, serial ${disk.serial ?? "none"}, ${gib(disk.sizeBytes)}`;
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
  const others = facts.disks.filter(
    (one) => !view.disks.some((disk) => disk.serial === one.serial && disk.sizeBytes === one.sizeBytes),
  );
  for (const other of others)
    lines.push(
      `untouched ${other.name}: ${other.model ?? "no model"}, serial ${other.serial ?? "none"}, ${gib(other.sizeBytes)}`,
    );
  lines.push("", ...view.plan.steps.map((step, index) => `${String(index + 1).padStart(3)}. ${step.doing}`));
  lines.push("", `plan      ${view.planDigest}`, "");
  return lines;
}

function gib(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}
