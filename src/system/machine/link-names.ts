/** A pattern for names of links as systemd has it: `*`, `?`, `[a-z]`, `[!a-z]`. */
export function linkPattern(glob: string): RegExp {
  const source = glob
    .replaceAll(/[.+^${}()|\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".")
    .replaceAll("[!", "[^");
  return new RegExp(`^${source}$`);
}

/** Where a card is plugged in, from its directory in /sys: the number of a virtio device is the kernel's own, so it is left out. */
export function hardwarePath(device: string, port = "0"): string {
  const path = device.replace(/^.*?\/devices\//, "").replace(/\/virtio\d+$/, "");
  return port === "0" ? path : `${path}#${port}`;
}
