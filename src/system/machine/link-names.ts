/** A pattern for names of links as systemd has it: `*`, `?`, `[a-z]`, `[!a-z]`. */
export function linkPattern(glob: string): RegExp {
  const source = glob
    .replaceAll(/[.+^${}()|\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".")
    .replaceAll("[!", "[^");
  return new RegExp(`^${source}$`);
}
