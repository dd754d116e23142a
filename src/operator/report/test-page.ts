import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { countOf, seconds } from "../../util/count.ts";
import { type Html, html } from "./html.ts";
import { facts, healthChecks, page, section } from "./page.ts";

/** What came of the tests of a definition: the JSON of `test --report`. */
export interface TestReport {
  readonly version: 1;
  readonly hostname: string;
  /** Digest of spec, lock and files. */
  readonly definition: string;
  readonly ok: boolean;
  readonly machines: readonly {
    readonly firmware: string;
    readonly seconds: number;
    readonly results: Parameters<typeof healthChecks>[1];
    /** Directories with what helps to understand a failure. */
    readonly evidence: readonly Evidence[];
  }[];
}

export interface Evidence {
  /** The check that failed, or the machine. */
  readonly of: string;
  readonly directory: string;
}

/** What such a directory holds, as far as it could be had. */
export const evidenceFiles = { screen: "screen.png", journal: "journal.txt", console: "console.log" };

interface Shown {
  /** A PNG. */
  readonly screen?: Buffer | undefined;
  readonly journal?: string | undefined;
  readonly console?: string | undefined;
}

/** The results of a test for people: each check by each firmware, and what is to be seen of those that failed. */
export function testPage(report: TestReport, shown: (directory: string) => Shown): string {
  const { hostname, machines, ok } = report;
  const results = machines.flatMap((machine) => machine.results);
  const failed = results.filter((one) => !one.ok).length;
  const count = countOf(results.length, "check");
  const outcome = ok ? `Passed: ${count}` : `Failed: ${failed} of ${count}`;
  return page({ title: `Test of ${hostname}`, outcome, tone: ok ? "good" : "bad" }, [
    section(
      "In short",
      facts({
        "Name of the system": hostname,
        Firmware: machines.map(({ firmware }) => firmware).join(", "),
        Took: seconds(1000 * machines.reduce((sum, one) => sum + one.seconds, 0)),
        "Digest of the definition": html`<code>${report.definition}</code>`,
      }),
    ),
    ...machines.map(({ firmware, results: all, evidence }) =>
      section(
        `Started by ${firmware}`,
        healthChecks(`Checks under ${firmware}, those that failed first`, all),
        evidence.map((one) => evidenceOf(one, shown(one.directory))),
      ),
    ),
  ]);
}

function evidenceOf({ of, directory }: Evidence, { screen, journal, console }: Shown): Html {
  const text = (what: string, content: string | undefined) =>
    content && html`<details><summary>${what}</summary><pre>${content}</pre></details>\n`;
  return html`<h3>What is to be seen of: ${of}</h3>
<p>From <code>${directory}</code></p>
${screen && html`<figure><img src="data:image/png;base64,${{ markup: screen.toString("base64") }}" alt="The screen of the machine when ${of} failed"><figcaption>Screen</figcaption></figure>\n`}
${text("Journal", journal)}${text("Console", console)}`;
}

/** What is there of a failure. */
export function shownOf(directory: string): Shown {
  const read = (name: string) => {
    const file = join(directory, name);
    return existsSync(file) ? readFileSync(file) : undefined;
  };
  return {
    screen: read(evidenceFiles.screen),
    journal: read(evidenceFiles.journal)?.toString(),
    console: read(evidenceFiles.console)?.toString(),
  };
}
