import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildPage } from "../../src/operator/report/build-page.ts";
import { recoveryPage } from "../../src/operator/report/recovery-page.ts";
import { reportPage } from "../../src/operator/report/report-page.ts";
import {
  buildSaying,
  recoverySaying,
  sampleBuilds,
  sampleRecoveries,
  sampleReports,
  saying,
} from "../helpers/builders/sample-reports.ts";
import { type Tab, withBrowser } from "../helpers/labs/browser.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const timeoutMs = 5 * 60_000;
const hostile = `<script>document.title = "run"</script>"'\u202e${"w".repeat(500)}`;
const pages = {
  ...pagesOf("deploy", { ...sampleReports, hostile: saying(hostile) }, reportPage),
  ...pagesOf("build", { ...sampleBuilds, hostile: buildSaying(hostile) }, buildPage),
  ...pagesOf("drill", { ...sampleRecoveries, hostile: recoverySaying(hostile) }, recoveryPage),
};
/** What WCAG 2 asks of text, level AA. */
const leastContrast = 4.5;

describe("report-page: the page of a report, in a browser,", () => {
  it.each(Object.entries(pages))(
    "fits a phone, is readable in light and dark, loads and runs nothing: %s",
    async (_, page) => {
      const file = join(tempDir(), "report.html");
      writeFileSync(file, page);
      await withBrowser(async (tab) => {
        for (const domain of ["Page", "Network", "Log", "Runtime"]) await tab.send(`${domain}.enable`);
        for (const value of ["light", "dark"])
          for (const width of [360, 1100]) {
            await tab.send("Emulation.setDeviceMetricsOverride", {
              ...{ width, height: 800, deviceScaleFactor: 1, mobile: width < 500 },
            });
            await tab.send("Emulation.setEmulatedMedia", {
              features: [{ name: "prefers-color-scheme", value }],
            });
            await tab.send("Page.navigate", { url: `file://${file}` });
            await expect
              .poll(() => evaluate(tab, "document.readyState + location.protocol"), { timeout: 20_000 })
              .toBe("completefile:");
            expect(await evaluate(tab, "document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
            expect(await evaluate(tab, `(${contrastOf})()`)).toBeGreaterThan(leastContrast);
            expect(await evaluate(tab, "document.title")).not.toBe("run");
          }
        const { nodes } = await tab.send("Accessibility.getFullAXTree");
        const named = (role: string): string[] =>
          nodes
            .filter((node: Node) => !node.ignored && node.role?.value === role)
            .map((node: Node) => node.name?.value ?? "");
        expect(["banner", "main", "contentinfo"].map((role) => named(role).length)).toEqual([1, 1, 1]);
        expect(named("table").length).toBeGreaterThan(0);
        expect([...named("table"), ...named("heading")].filter((name) => name.trim() === "")).toEqual([]);
        const urls = tab.events.flatMap(({ method, params }) =>
          method === "Network.requestWillBeSent" ? [(params!.request as { url: string }).url] : [],
        );
        expect(new Set(urls)).toEqual(new Set([`file://${file}`]));
        expect(tab.events.filter(({ method }) => method === "Log.entryAdded")).toEqual([]);
      });
    },
    timeoutMs,
  );
});

function pagesOf<Kind>(
  what: string,
  reports: Readonly<Record<string, Kind>>,
  pageOf: (report: Kind) => string,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(reports).map(([name, report]) => [`${what} ${name}`, pageOf(report)]),
  );
}

interface Node {
  readonly ignored: boolean;
  readonly role?: { readonly value: string };
  readonly name?: { readonly value: string };
}

async function evaluate(tab: Tab, expression: string): Promise<unknown> {
  const { result } = await tab.send("Runtime.evaluate", { expression, returnByValue: true });
  return result.value;
}

/** Runs in the page: the least contrast of a text with what is under it. */
const contrastOf = `() => {
  const channel = (value) => (value <= 10 ? value / 3294 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const under = (element) => {
    const colour = element === null ? [255, 255, 255] : rgb(getComputedStyle(element).backgroundColor);
    return colour[3] === 0 ? under(element.parentElement) : colour;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let least = 21;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const [one, other] = [light(rgb(getComputedStyle(element).color)), light(under(element))];
    least = Math.min(least, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
  }
  return least;
}`;
