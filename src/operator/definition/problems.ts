import type { z } from "zod";
import { nearest, type Problem } from "../../util/problem.ts";

type Issue = z.core.$ZodIssue;

const acceptedPrefix = "accepted: ";
const kinds: Readonly<Record<string, string>> = {
  string: "text in quotes",
  number: "a number",
  int: "a whole number",
  boolean: "`true` or `false`",
  array: "a list, `[ … ]`",
  object: "an object, `{ … }`",
  record: "an object, `{ … }`",
};
const formats: Readonly<Record<string, string>> = {
  ipv4: 'an IPv4 address such as "192.0.2.1"',
  ipv6: 'an IPv6 address such as "2001:db8::1"',
  cidrv4: 'an IPv4 address with its prefix such as "192.0.2.1/24"',
  cidrv6: 'an IPv6 address with its prefix such as "2001:db8::1/64"',
  url: 'a URL such as "http://example.org/debian"',
};

/** Checks `value` by a schema and tells each problem with its path, what was found and what is accepted. */
export function checkBySchema<S extends z.ZodType>(
  schema: S,
  value: unknown,
): { data: z.output<S> } | { problems: Problem[] } {
  const result = schema.safeParse(value, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys") return undefined;
      const def = (issue.inst as { _zod?: { def?: { shape?: object } } } | undefined)?._zod?.def;
      return acceptedPrefix + Object.keys(def?.shape ?? {}).join(", ");
    },
  });
  if (result.success) return { data: result.data };
  return { problems: result.error.issues.flatMap((issue) => tell(issue, [], value)) };
}

function tell(issue: Issue, above: readonly PropertyKey[], root: unknown): Problem[] {
  const path = [...above, ...issue.path] as (string | number)[];
  if (issue.code === "unrecognized_keys") {
    const accepted = issue.message.slice(acceptedPrefix.length);
    return issue.keys.map((key) => {
      const meant = nearest(key, accepted.split(", "));
      const hint = meant === undefined ? `accepted are ${accepted}` : `did you mean \`${meant}\``;
      return { path: [...path, key], message: `unknown key; ${hint}` };
    });
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const branch = meantBranch(issue.errors);
    if (branch !== undefined) return branch.flatMap((inner) => tell(inner, path, root));
  }
  if (issue.code === "invalid_key")
    return [
      { path, message: `${show(path.at(-1))} as a key is not accepted; needs ${needs(issue.issues[0]!)}` },
    ];
  const found = valueAt(root, path);
  const need = needs(issue);
  if (found === undefined) return [{ path, message: `is missing; needs ${need}` }];
  if (need.startsWith("needs ")) return [{ path, message: need }];
  return [{ path, message: `${show(found)} is not accepted; needs ${need}` }];
}

/** Of a union of objects the branch that the value resembles most; undefined for a union of scalars. */
function meantBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const scalar = (branch: readonly Issue[]) =>
    branch.every((issue) => issue.path.length === 0 && issue.code !== "unrecognized_keys");
  const objects = branches.filter((branch) => !scalar(branch));
  const strangeness = (branch: readonly Issue[]) =>
    branch.reduce((sum, issue) => {
      if (issue.code === "unrecognized_keys" && issue.path.length === 0) return sum + 100 * issue.keys.length;
      return sum + (issue.path.length <= 1 && issue.code === "invalid_type" ? 100 : 1);
    }, 0);
  return [...objects].sort((a, b) => strangeness(a) - strangeness(b))[0];
}

/** What the failed check accepts, as a noun phrase. */
function needs(issue: Issue): string {
  if (!/^(Invalid|Too|Unrecognized)\b/.test(issue.message)) return issue.message;
  switch (issue.code) {
    case "invalid_type":
      return kinds[issue.expected] ?? issue.expected;
    case "invalid_value":
      return oneOf(issue.values.map(show));
    case "too_big":
      return `${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}${counted(issue.origin)}`;
    case "too_small":
      return `${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}${counted(issue.origin)}`;
    case "invalid_format":
      return formatNeeds(issue as Issue & { format: string; pattern?: string; prefix?: string });
    case "invalid_union":
      return unionNeeds(issue as Issue & { options?: unknown[] });
    default:
      return issue.message;
  }
}

function formatNeeds(issue: { format: string; pattern?: string; prefix?: string }): string {
  if (issue.prefix !== undefined) return `text that starts with ${show(issue.prefix)}`;
  return formats[issue.format] ?? `text that matches ${issue.pattern ?? issue.format}`;
}

function unionNeeds(issue: Issue & { options?: unknown[] }): string {
  if (issue.code !== "invalid_union") return issue.message;
  if (issue.errors.length === 0) return oneOf((issue.options ?? []).map(show));
  const firsts = issue.errors.flatMap((branch) => branch.slice(0, 1));
  // "a number" says nothing beside the branch whose type was right.
  const telling = firsts.filter((inner) => inner.code !== "invalid_type");
  const mixed = telling.some((inner) => inner.code === "invalid_format");
  return oneOf([...new Set((mixed ? telling : firsts).map(needs))]);
}

function counted(origin: string): string {
  if (origin === "string") return " characters";
  return origin === "array" ? " entries" : "";
}

function oneOf(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** The value at a path, or undefined where the path leads nowhere. */
function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
