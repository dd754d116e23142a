import { z } from "zod";
import { Spec } from "../../src/schema/spec.ts";
import { saidIn, wordsOf } from "./words.ts";

type Schema = z.core.$ZodType;
/** Of the section of each object that was met. */
type Names = Map<Schema, string>;
interface Field {
  readonly accepts: string;
  readonly usual: string;
}

const head = `# Fields

Every field of a definition: what it accepts, its default, and what it is for. This page is made by
\`make fields\` from \`src/schema\`: change the comments there.

A field without a default may be left out, but for those marked *needed*.
`;

/** docs/FIELDS.md, from the schema and its comments. */
export function fieldsPage(): string {
  const said = saidIn("src/schema");
  const sections: string[] = [];
  const wanted: Schema[] = [Spec];
  const names: Names = new Map([[Spec, "definition"]]);
  for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
    const schema = next;
    const name = names.get(schema)!;
    const shape = shapeOf(schema);
    const keys = Object.keys(shape);
    const rows = keys.map((key) => {
      const path = name === "definition" ? key : `${name}.${key}`;
      const known = names.size;
      const { accepts, usual } = fieldOf(shape[key]!, path, names);
      wanted.push(...[...names.keys()].slice(known));
      return [key, accepts, usual, wordsOf(said, keys, key)].map(cell);
    });
    const table = ["| field | accepts | default | |", "|---|---|---|---|"];
    table.push(...rows.map(([key, ...rest]) => `| \`${key}\` | ${rest.join(" | ")} |`));
    sections.push([`## \`${name}\``, ...table].join("\n"));
  }
  return `${head}\n${sections.join("\n\n")}\n`;
}

function fieldOf(schema: Schema, path: string, names: Names): Field {
  const { schema: inner, usual, needed } = unwrapped(schema);
  return { accepts: acceptsOf(inner, path, names), usual: needed ? "*needed*" : usual };
}

/** Without what only says that it may be left out. */
function unwrapped(schema: Schema): { schema: Schema; usual: string; needed: boolean } {
  let [inner, usual, needed] = [schema, "", true];
  for (;;) {
    const def = defOf(inner);
    if (def.type === "optional") needed = false;
    else if (def.type === "default" || def.type === "prefault") {
      needed = false;
      const text = JSON.stringify(def.defaultValue);
      usual = text === "{}" && def.type === "prefault" ? "" : `\`${text}\``;
    } else if (def.type !== "pipe") return { schema: inner, usual, needed };
    inner = (def.type === "pipe" ? def.in : def.innerType) as Schema;
  }
}

function acceptsOf(given: Schema, path: string, names: Names): string {
  const { schema } = unwrapped(given);
  const def = defOf(schema);
  switch (def.type) {
    case "object":
      if (!names.has(schema)) names.set(schema, path);
      return `an object, \`${names.get(schema)}\``;
    case "array":
      return `a list: ${acceptsOf(def.element as Schema, `${path}[]`, names)}`;
    case "record":
      return `by name: ${acceptsOf(def.valueType as Schema, `${path}.*`, names)}`;
    case "union": {
      const options = def.options as Schema[];
      const all = options.map((one, index) =>
        acceptsOf(one, `${path}${variantOf(one) ?? (isObject(one) ? ` (${index + 1})` : "")}`, names),
      );
      return [...new Set(all)].join(" or ");
    }
    case "literal":
      return (def.values as unknown[]).map((value) => `\`${JSON.stringify(value)}\``).join(" or ");
    case "enum":
      return Object.values(def.entries as object)
        .map((value) => `\`${JSON.stringify(value)}\``)
        .join(", ");
    case "boolean":
      return "`true` or `false`";
    case "number":
      return numberOf(schema);
    case "string":
      return textOf(schema);
    default:
      return def.type;
  }
}

function isObject(schema: Schema): boolean {
  return defOf(unwrapped(schema).schema).type === "object";
}

/** " (luks)" of an object whose `type` says which it is. */
function variantOf(schema: Schema): string | undefined {
  const def = defOf(unwrapped(schema).schema);
  const type = def.type === "object" ? shapeOf(unwrapped(schema).schema).type : undefined;
  const values =
    type === undefined ? undefined : (defOf(unwrapped(type).schema).values as unknown[] | undefined);
  return values === undefined ? undefined : ` (${values.join(", ")})`;
}

function numberOf(schema: Schema): string {
  const { minimum, maximum, exclusiveMinimum } = z.toJSONSchema(schema, { unrepresentable: "any" }) as Record<
    string,
    number | undefined
  >;
  const [least, most] = [minimum ?? exclusiveMinimum, maximum];
  const bounds = least === undefined || Math.abs(least) > 2 ** 52 ? "" : `, ${least} to ${most}`;
  return `a number${bounds}`;
}

/** What a message would say is needed. */
function textOf(schema: Schema): string {
  const checks = [
    (schema as z.ZodType).def as { error?: unknown },
    ...(
      ((schema as z.ZodType).def as { checks?: { _zod: { def: { error?: unknown; format?: string } } }[] })
        .checks ?? []
    ).map((one) => one._zod.def),
  ];
  for (const { error } of checks)
    if (typeof error === "function") {
      const message = (error as (issue: object) => unknown)({ code: "invalid_format" });
      const text =
        typeof message === "string" ? message : (message as { message?: string } | undefined)?.message;
      if (text !== undefined) return text;
    }
  return "text";
}

function shapeOf(schema: Schema): Record<string, Schema> {
  return defOf(schema).shape as Record<string, Schema>;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function defOf(schema: Schema): Record<string, unknown> & { type: string } {
  return schema._zod.def as unknown as Record<string, unknown> & { type: string };
}
