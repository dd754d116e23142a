/** Compares two Debian versions as dpkg does: negative, zero or positive (deb-version(7)). */
export function compareVersions(a: string, b: string): number {
  const one = split(a);
  const two = split(b);
  return (
    one.epoch - two.epoch ||
    compareParts(one.upstream, two.upstream) ||
    compareParts(one.revision, two.revision)
  );
}

/** Whether `version` satisfies a relation such as ">= 2.0". */
export function satisfies(version: string, relation: string, wanted: string): boolean {
  const order = compareVersions(version, wanted);
  if (relation === "<<") return order < 0;
  if (relation === "<=" || relation === "<") return order <= 0;
  if (relation === "=") return order === 0;
  if (relation === ">=" || relation === ">") return order >= 0;
  return order > 0;
}

function split(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const epoch = colon < 0 ? 0 : Number(version.slice(0, colon));
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return dash < 0
    ? { epoch, upstream: rest, revision: "" }
    : { epoch, upstream: rest.slice(0, dash), revision: rest.slice(dash + 1) };
}

/** Runs of non-digits and digits in turn; `~` sorts before the end, letters before the rest. */
function compareParts(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a[i]!)) || (j < b.length && !isDigit(b[j]!))) {
      const x = weight(a[i]);
      const y = weight(b[j]);
      if (x !== y) return x - y;
      i += 1;
      j += 1;
    }
    const x = /^\d*/.exec(a.slice(i))![0];
    const y = /^\d*/.exec(b.slice(j))![0];
    const order = compareNumbers(x, y);
    if (order !== 0) return order;
    i += x.length;
    j += y.length;
  }
  return 0;
}

function compareNumbers(a: string, b: string): number {
  const x = a.replace(/^0+/, "");
  const y = b.replace(/^0+/, "");
  return x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
}

function isDigit(char: string): boolean {
  return char >= "0" && char <= "9";
}

function weight(char: string | undefined): number {
  if (char === undefined || isDigit(char)) return 0;
  if (char === "~") return -1;
  return /[A-Za-z]/.test(char) ? char.charCodeAt(0) : char.charCodeAt(0) + 256;
}
