import encodeQR from "qr";
import type { TarEntry } from "../../archive/tar.ts";
import { armored } from "../../secrets/seal.ts";
import { Fail } from "../../util/fail.ts";
import { type Html, html } from "../report/html.ts";
import { type Found, type Lock, seal } from "./escrow.ts";
import { places } from "./manifest.ts";

/** Characters of a code that a telephone still reads from paper. */
const charactersOfCode = 800;
/** White around a code, in its modules, as ISO 18004 wants it. */
const quietModules = 4;
/** A part that is longer fills pages, and nobody would scan it. */
const maxPartBytes = 8192;

/**
 * The small parts of an escrow on paper, each an age file of its own, as codes and as text. What is printed is encrypted: a printer, its
 * queue and whoever finds the page see no key.
 */
export async function escrowPage({ about, entries }: Found, lock: Lock): Promise<string> {
  const small = entries.filter(({ name }) =>
    [places.identity, places.keys].some((one) => name.startsWith(one)),
  );
  if (small.length === 0)
    throw new Fail("there is nothing to print: neither an identity nor a key of a disk", {
      hint: "give your age identity by -i FILE",
    });
  const parts: Html[] = [];
  for (const entry of small) parts.push(await partOf(entry, lock));
  const opens =
    "to" in lock
      ? html`the identity of one of: ${lock.to.map((one) => html`<code>${shortened(one)}</code> `)}`
      : html`the passphrase that was typed when it was made`;
  const title = `Escrow of ${about.hostname}`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title>
<style>${{ markup: style }}</style>
</head>
<body>
<h1>${title}</h1>
<p>Made ${about.made}, of the definition ${about.definition.slice(0, 16)}. Opened by ${opens}.</p>
<p>Each part is a file that age encrypted. Scan its codes in their order into one text file, each from a new line on, or type the text, and open it:
<code>imgbuild secrets show FILE ${"to" in lock ? "-i IDENTITY" : "--passphrase"}</code>, or
<code>age --decrypt ${"to" in lock ? "-i IDENTITY " : ""}FILE</code>.</p>
${parts}
</body>
</html>
`.markup;
}

async function partOf({ name, content }: TarEntry, lock: Lock): Promise<Html> {
  if (content.length > maxPartBytes)
    return html`<section><h2>${name}</h2><p>It has ${content.length} bytes, which are too many for paper: it is in the file alone.</p></section>`;
  const text = armored(await seal(lock, content));
  const codes = piecesOf(text);
  return html`<section>
<h2>${name}</h2>
${codes.map((code, index) => html`<figure>${{ markup: encodeQR(code, "svg", { ecc: "low", border: quietModules }) }}<figcaption>${index + 1} of ${codes.length}</figcaption></figure>`)}
<pre>${text}</pre>
</section>
`;
}

/** Whole lines: what reads codes ends the text of each with a new line, and then they are the text again. */
function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  for (const line of text.trimEnd().split("\n")) {
    const longer = [...pieces.slice(-1), line].join("\n");
    if (pieces.length > 0 && longer.length <= charactersOfCode) pieces[pieces.length - 1] = longer;
    else pieces.push(line);
  }
  return pieces;
}

function shortened(recipient: string): string {
  return recipient.length > 60 ? `${recipient.slice(0, 60)}…` : recipient;
}

const style = `
body { font: 11pt/1.4 sans-serif; max-width: 18cm; margin: 1cm auto; color: #000; background: #fff }
section { break-inside: avoid; border-top: 1px solid #888; margin-top: 6mm }
figure { display: inline-block; width: 8cm; margin: 3mm }
figure svg { width: 100%; height: auto; shape-rendering: crispEdges }
figcaption { text-align: center }
pre { font: 9pt/1.3 monospace }
@page { margin: 1cm }
`;
