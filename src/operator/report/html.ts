import { visibleText } from "../../util/visible.ts";

/** Markup, as opposed to text: only `html` makes it. */
export interface Html {
  readonly markup: string;
}

type Part = Html | string | number | undefined | readonly Part[];

/** Markup with values put in as text; only other markup goes in as it is. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { markup: String.raw({ raw: texts }, ...parts.map(markupOf)) };
}

function markupOf(part: Part): string {
  if (part === undefined) return "";
  if (typeof part !== "object")
    return visibleText(String(part)).replace(/[&<>"'`]/g, (one) => `&#${one.charCodeAt(0)};`);
  return "markup" in part ? part.markup : part.map(markupOf).join("");
}
