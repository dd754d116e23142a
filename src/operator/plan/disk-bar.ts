/** Between the brackets; more than 29 partitions take more. */
const width = 58;
/** A smaller rest of the disk is left out: tables and alignment take some. */
const freeWorthShowing = 0.03;

interface Segment {
  readonly label: string;
  readonly bytes: number;
  /** Drawn so that it is seen at a glance. */
  readonly kept: boolean;
}

/** A disk in one line, each partition as wide as its share: "[|esp|root ext4 on /        |=home====]". */
export function diskBar(parts: readonly Segment[], diskBytes: number): string {
  const used = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const rest = diskBytes - used;
  const free = { label: "free", bytes: rest, kept: false };
  const segments = rest > diskBytes * freeWorthShowing ? [...parts, free] : parts;
  if (segments.length === 0) return `[${"empty".padEnd(width)}]`;
  const widths = shares(
    segments.map(({ bytes }) => Math.max(0, bytes)),
    width - (segments.length - 1),
  );
  const drawn = segments.map(({ label, kept }, index) => {
    const fill = kept ? "=" : " ";
    // Marked on both sides, so that a short name is no part of what is beside it.
    return (kept ? `=${label}` : label).slice(0, widths[index]).padEnd(widths[index]!, fill);
  });
  return `[${drawn.join("|")}]`;
}

/** Columns for each: one at least, the others by their sizes, all of them used. */
function shares(bytes: readonly number[], columns: number): number[] {
  const spare = Math.max(0, columns - bytes.length);
  const total = bytes.reduce((sum, size) => sum + size, 0);
  let before = 0;
  let given = 0;
  return bytes.map((size) => {
    before += size;
    const upTo = Math.round((total === 0 ? 1 : before / total) * spare);
    const own = upTo - given;
    given = upTo;
    return 1 + own;
  });
}
