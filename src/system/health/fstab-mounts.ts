/** Options by which a filesystem is not mounted when the system starts (fstab(5), systemd.mount(5)). */
const later = new Set(["noauto", "x-systemd.automount"]);

/** Mount points of fstab(5) at which nothing is mounted, by /proc/self/mountinfo (proc(5)). */
export function notMounted(fstab: string, mountinfo: string): string[] {
  const mounted = new Set(fieldsOf(mountinfo).map((fields) => plain(fields[4] ?? "")));
  return fieldsOf(fstab)
    .filter(([source = ""]) => !source.startsWith("#"))
    .filter(([, point = "", , options = ""]) => {
      const waits = options.split(",").some((option) => later.has(option));
      return point.startsWith("/") && !waits;
    })
    .map(([, point = ""]) => plain(point).replace(/(?<=.)\/+$/, ""))
    .filter((point) => !mounted.has(point));
}

function fieldsOf(text: string): string[][] {
  return text.split("\n").map((line) => line.trim().split(/\s+/));
}

/** A word of fstab or mountinfo, in which blanks and others are octal numbers. */
export function plain(word: string): string {
  return word.replace(/\\([0-7]{3})/g, (_all, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
