import { seconds } from "../../util/count.ts";
import { type Html, html } from "./html.ts";

/** Never shown by colour alone: words say the same. */
export type Tone = "good" | "care" | "bad";

const marks: Readonly<Record<Tone, string>> = { good: "✓", care: "!", bad: "✗" };

/** A page in one file, for any screen and for paper: it loads nothing and runs nothing. */
export function page(
  { title, outcome, tone }: { readonly title: string; readonly outcome: string; readonly tone: Tone },
  content: readonly (Html | undefined)[],
): string {
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${outcome} – ${title}</title>
<style>${{ markup: style }}</style>
</head>
<body>
<header class="${tone}"><p>${title}</p><h1>${mark(tone)}${outcome}</h1></header>
<main>
${content}
</main>
<footer><p>The same facts, for programs, are in the JSON file beside this page.</p></footer>
</body>
</html>
`.markup;
}

export function section(heading: string, ...content: readonly (Html | readonly Html[] | undefined)[]): Html {
  return html`<section><h2>${heading}</h2>\n${content}</section>\n`;
}

/** Pairs of a name and its value; those without a value are left out. */
export function facts(pairs: Readonly<Record<string, Html | string | undefined>>): Html {
  const given = Object.entries(pairs).filter(([, value]) => value !== undefined && value !== "");
  return html`<dl>${given.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>\n`;
}

export function table(
  caption: string,
  columns: readonly string[],
  rows: readonly (readonly (Html | string)[])[],
): Html {
  return html`<table><caption>${caption}</caption>
<thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([first = "", ...others]) =>
      html`\n<tr><th scope="row">${first}</th>${others.map((cell) => html`<td>${cell}</td>`)}</tr>`,
  )}
</tbody></table>
`;
}

interface Judged {
  readonly name: string;
  readonly tone: Tone;
  /** What the tone means here: "passed". */
  readonly word: string;
  readonly detail: string;
  readonly hint?: string | undefined;
  readonly seconds?: number;
}

/** What was looked at, the worst first. */
export function judgements(caption: string, all: readonly Judged[]): Html {
  const order: readonly Tone[] = ["bad", "care", "good"];
  const sorted = [...all].sort((one, other) => order.indexOf(one.tone) - order.indexOf(other.tone));
  const timed = all.some((one) => one.seconds !== undefined);
  return table(
    caption,
    ["Check", "Result", ...(timed ? ["Time"] : [])],
    sorted.map((one) => [
      html`${one.name}${one.detail === one.word ? undefined : html`<p class="text">${one.detail}</p>`}${one.hint && html`<p class="text">→ ${one.hint}</p>`}`,
      html`<span class="${one.tone}">${mark(one.tone)}${one.word}</span>`,
      ...(timed ? [duration(one.seconds ?? 0)] : []),
    ]),
  );
}

export function healthChecks(
  caption: string,
  results: readonly (Pick<Judged, "detail" | "seconds"> & { readonly check: string; readonly ok: boolean })[],
): Html {
  return judgements(
    caption,
    results.map(({ check, ok, ...one }) => ({
      ...one,
      name: check,
      ...(ok ? { tone: "good", word: "passed" } : { tone: "bad", word: "failed" }),
    })),
  );
}

export interface Bar {
  readonly name: Html | string;
  /** Seconds; where it begins on the line of time, and how long it takes. */
  readonly from: number;
  readonly long: number;
  readonly kind?: "down";
}

/** Bars on a common line of time: what they show stands beside them as text. */
export function bars(caption: string, column: string, all: readonly Bar[]): Html {
  const whole = Math.max(...all.map(({ from, long }) => from + long), 0.001);
  const percent = (part: number) => `${((100 * part) / whole).toFixed(2)}%`;
  return table(
    caption,
    [column, "Time", "On the line of time"],
    all.map(({ name, from, long, kind }) => [
      name,
      duration(long),
      html`<div class="bar" aria-hidden="true"><i class="${kind}" style="margin-left:${percent(from)};width:${percent(long)}"></i></div><span class="unseen">from ${seconds(from * 1000)} to ${seconds((from + long) * 1000)}</span>`,
    ]),
  );
}

/** Nothing where there is neither message nor hint. */
export function whatWentWrong(
  { message, hint }: { readonly message?: string | undefined; readonly hint?: string | undefined },
  heading = "What went wrong",
): Html | undefined {
  if (message === undefined && hint === undefined) return undefined;
  return section(
    heading,
    html`<pre>${message}</pre>${hint && html`<h3>What to do next</h3><p class="text">${hint}</p>`}`,
  );
}

/** "2026-11-29 01:02:03 UTC" of a time in ISO 8601. */
export function moment(iso: string): Html {
  return html`<time datetime="${iso}">${iso.replace("T", " ").replace(/\.\d+Z$/, " UTC")}</time>`;
}

function duration(long: number): Html {
  return unbroken(seconds(long * 1000));
}

/** Of a few letters: it stays on its line. */
export function unbroken(text: string): Html {
  return html`<span class="unbroken">${text}</span>`;
}

function mark(tone: Tone): Html {
  return html`<span class="mark" aria-hidden="true">${marks[tone]}</span> `;
}

const style = `
:root { --back: #fff; --card: #f4f5f7; --ink: #1a1d21; --soft: #50575f; --line: #ccd1d7; --bar: #2f6fb5; --down: #a8480b;
  --good: #146c2e; --care: #7d4e00; --bad: #b3161b; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --card: #1f2429; --ink: #e8eaed; --soft: #aab2bb; --line: #3a424a;
  --bar: #5b9ee6; --down: #f0913f; --good: #6fd18a; --care: #f0c060; --bad: #ff8f8a; } }
@media print { :root { --back: #fff; --card: #fff; --ink: #000; --soft: #333; --line: #999; --bar: #2f6fb5; --down: #a8480b;
  --good: #146c2e; --care: #7d4e00; --bad: #b3161b; }
  tr, figure, .good, .bad, .care { break-inside: avoid; } h2, h3, caption { break-after: avoid; }
  details::details-content { content-visibility: visible; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--back); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
header { border-left: .5rem solid currentColor; background: var(--card); padding: .75rem 1rem; }
header p { margin: 0; color: var(--soft); }
h1 { margin: 0; font-size: clamp(1.4rem, 5vw, 2.1rem); line-height: 1.25; }
h2 { margin: 2rem 0 .5rem; font-size: 1.25rem; } h3 { margin: 1.25rem 0 .25rem; font-size: 1.05rem; }
.good { color: var(--good); } .care { color: var(--care); } .bad { color: var(--bad); }
td .good, td .care, td .bad { font-weight: 600; white-space: nowrap; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 9.5rem), 1fr)); gap: .75rem 1.5rem; margin: 0 0 .75rem; }
dt { color: var(--soft); font-size: .875rem; } dd { margin: 0; }
table { width: 100%; border-collapse: collapse; } table + table { margin-top: .75rem; }
caption { text-align: left; color: var(--soft); font-size: .9rem; padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); }
thead th { overflow-wrap: normal; font-size: .875rem; color: var(--soft); border: 0; } tbody th { font-weight: 500; min-width: 5.5rem; }
th p, td p { margin: .15rem 0 0; font-weight: 400; color: var(--soft); font-size: .9rem; }
.text, pre { white-space: pre-wrap; } .unbroken { white-space: nowrap; font-variant-numeric: tabular-nums; }
pre, code { font: .85rem/1.45 ui-monospace, monospace; } pre { background: var(--card); padding: .75rem; margin: .5rem 0; }
td:has(.bar) { width: 50%; padding-right: 0; } .bar { padding-top: .3rem; }
.bar i { display: block; height: .9rem; min-width: 2px; background: var(--bar); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.bar .down { background: repeating-linear-gradient(135deg, var(--down) 0 4px, transparent 4px 7px); border: 1px solid var(--down); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
summary { cursor: pointer; padding: .35rem 0; } figure { margin: .5rem 0; } img { max-width: 100%; height: auto; border: 1px solid var(--line); }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .875rem; }
`;
