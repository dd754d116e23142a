/** What manufacturers leave in boards without a UUID of their own; thousands of machines have it. */
const common: ReadonlySet<string> = new Set([
  "03000200-0400-0500-0006-000700080009",
  "00020003-0004-0005-0006-000700080009",
  "12345678-1234-5678-90ab-cddeefaabbcc",
]);

/** The machine's UUID as firmware has it, in lower case; undefined where there is none that only this machine has. */
export function dmiUuidOf(text: string): string | undefined {
  const uuid = text.trim().toLowerCase();
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) return undefined;
  const digits = uuid.replaceAll("-", "");
  return common.has(uuid) || /^(.{1,4})\1+$/.test(digits) ? undefined : uuid;
}
