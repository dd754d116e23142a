/** A line of a unit, as systemd.syntax(7) reads it. */
interface UnitLine {
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

/** The assignments of a unit's text; lines that end in a backslash go on, comments are left out. */
export function unitLines(text: string): UnitLine[] {
  const lines: UnitLine[] = [];
  let section = "";
  let begun = "";
  for (const line of text.split("\n")) {
    if (/^\s*[#;]/.test(line)) continue;
    const whole = begun + line.trim();
    begun = "";
    if (whole.endsWith("\\")) {
      begun = `${whole.slice(0, -1)} `;
      continue;
    }
    const header = /^\[([^\]]+)\]$/.exec(whole);
    if (header !== null) section = header[1]!;
    const assignment = /^([A-Za-z]+)\s*=\s*(.*)$/.exec(whole);
    if (assignment !== null) lines.push({ section, key: assignment[1]!, value: assignment[2]! });
  }
  return lines;
}

/** Values of a key in order; an empty one takes those before it back. */
export function valuesOf(lines: readonly UnitLine[], section: string, key: string): string[] {
  let values: string[] = [];
  for (const line of lines)
    if (line.section === section && line.key === key)
      values = line.value === "" ? [] : [...values, line.value];
  return values;
}

/**
 * The program of a command line (systemd.service(5)); undefined where it is known only when it runs, or may fail (`-`).
 */
export function programOf(command: string): string | undefined {
  const [, prefix = "", rest = ""] = /^([@:+!|-]*)(.*)$/s.exec(command) ?? [];
  const word = /^"([^"]*)"|^'([^']*)'|^(\S+)/.exec(rest);
  const program = word?.[1] ?? word?.[2] ?? word?.[3];
  return program === undefined || prefix.includes("-") || /[%$\\]/.test(program) ? undefined : program;
}
