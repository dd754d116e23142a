import type { BuildReport } from "../../schema/report.ts";
import { countOf, seconds, sizeOf } from "../../util/count.ts";
import { type Html, html } from "./html.ts";
import { bars, facts, moment, page, section, table, unbroken, whatWentWrong } from "./page.ts";

/** The report of a build for people. */
export function buildPage(report: BuildReport): string {
  const { hostname, disks, files, minimized } = report;
  const isDone = report.outcome === "done";
  return page(
    {
      title: `Build of ${hostname}`,
      outcome: isDone ? `Done: ${hostname} as ${report.format}` : "Failed: nothing was made",
      tone: isDone ? "good" : "bad",
    },
    [
      whatWentWrong(report),
      section("In short", inShort(report)),
      files.length === 0 ? undefined : section("Files", filesOf(report)),
      section("Times", timeline(report)),
      disks.length === 0
        ? undefined
        : section(
            "Disks",
            minimized
              ? html`<p>As the definition lays them out. The last partition, and the disk with it, was then made as small as its files allow; it grows when the system starts.</p>\n`
              : undefined,
            disks.map(diskOf),
          ),
      section("Packages", packagesOf(report)),
      section("To look up", facts({ "Digest of the definition": html`<code>${report.definition}</code>` })),
    ],
  );
}

function inShort({ hostname, format, started, seconds: took, packages, files }: BuildReport): Html {
  const sizes = files.flatMap(({ sizeBytes }) => sizeBytes ?? []);
  return facts({
    "Name of the system": hostname,
    Format: format,
    Started: moment(started),
    Took: seconds(took.total * 1000),
    Size: sizes.length === 0 ? undefined : sizeOf(sizes.reduce((sum, size) => sum + size, 0)),
    Packages: `${packages.count}, of them ${packages.security.length} from Debian's security archive`,
  });
}

function filesOf({ files }: BuildReport): Html {
  return table(
    "What was made; sha256sum shows the same digest of a file that is whole",
    ["File", "Size", "SHA-256"],
    files.map(({ path, sizeBytes, sha256 }) => [
      path,
      unbroken(sizeBytes === undefined ? "a directory" : sizeOf(sizeBytes)),
      sha256 === undefined ? "" : html`<code>${sha256}</code>`,
    ]),
  );
}

/** The outermost steps; their parts are there to be opened. */
function timeline({ seconds: { steps } }: BuildReport): Html | undefined {
  if (steps.length === 0) return undefined;
  const rows = (all: BuildReport["seconds"]["steps"]) =>
    all.map(({ doing, depth, from, seconds: long, ok }) => ({
      name: html`<span style="margin-left:${depth}em">${doing}${ok ? undefined : html` <strong>(ended here)</strong>`}</span>`,
      ...{ from, long },
    }));
  const outer = steps.filter(({ depth }) => depth === 0);
  return html`${bars("Steps of the build, on a common line of time; some run side by side", "Step", rows(outer))}${
    outer.length === steps.length
      ? undefined
      : html`<details><summary>${countOf(steps.length, "step")} with their parts</summary>
${bars("In the order in which they began; a step's time holds that of its parts", "Step", rows(steps))}</details>
`
  }`;
}

function diskOf({ name, sizeBytes, partitions }: BuildReport["disks"][number]): Html {
  return html`<h3>${name}: ${sizeOf(sizeBytes)}</h3>
${table(
  `Partitions of ${name}`,
  ["Name", "Size", "Holds"],
  partitions.map((one) => [one.name, unbroken(sizeOf(one.sizeBytes)), one.holds]),
)}`;
}

function packagesOf({ packages: { count, security } }: BuildReport): Html {
  const all = html`<p>${countOf(count, "package")} of the lock, ${security.length} of them from Debian's security archive.</p>\n`;
  if (security.length === 0) return all;
  return html`${all}<details><summary>Those from the security archive</summary>
${table(
  "Packages from Debian's security archive, as the lock has them",
  ["Package", "Version"],
  security.map(({ name, version }) => [name, version]),
)}</details>
`;
}
