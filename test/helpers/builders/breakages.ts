import { Entries, Expression, type Path } from "./literal-text.ts";
import { numbers, oddStrings } from "./odd-strings.ts";

/** A definition with one thing broken. */
export interface Breakage {
  /** As a failed test shows it. */
  readonly what: string;
  readonly value: unknown;
  /** Of what was broken, or of what held it where it is gone. */
  readonly paths: readonly Path[];
  /** Names and values that were there before or are there now: another field may speak of them. */
  readonly words: ReadonlySet<string>;
}

type Random = () => number;
interface Place {
  readonly root: unknown;
  readonly path: Path;
  readonly node: unknown;
  readonly parent: object;
}
type Way = (place: Place, random: Random) => Pick<Breakage, "value" | "paths"> | undefined;

const otherTypes = [true, 5, "text", [], {}, null, [[]], { a: {} }, ["text"], new Expression("undefined")];
const noData = [
  ...["NaN", "Infinity", "-Infinity", "10n", "new Date(0)", "() => 1", 'Symbol("a")', "/a/", "new Map()"],
  ...["(() => { const a = {}; a.a = a; return a; })()", "(() => { const a = []; a.push(a); return a; })()"],
  ...["{ get a() { return 1; } }", "[, 1]", "[undefined]", '{ ["__proto__"]: 1 }', "Promise.resolve(1)"],
  ...[
    "{ constructor: 1 }",
    "new Proxy({}, {})",
    "Object.assign([], { a: 1 })",
    "new (class A {})()",
    "async () => {}",
  ],
  ...["Buffer.alloc(1)", "Object.create({ a: 1 })", "new Error()", "globalThis", '{ [Symbol("a")]: 1 }'],
].map((text) => new Expression(text));
const oddNumbers = [-1, 0, -0, 1.5, 2 ** 31, 2 ** 53, 1e21, 5e-324, 65_536, 1e308].map((number) =>
  Object.is(number, -0) ? new Expression("-0") : number,
);
const oddTexts = [
  ...[
    "",
    " ",
    "\n",
    "\0",
    "\x1b[2J",
    "a\nb",
    "..",
    "../..",
    "/",
    "//",
    "/..",
    "é",
    "-",
    "--help",
    "%",
    "0",
    "rest",
  ],
  ...["x".repeat(300), "x".repeat(100_000), "\u202e", "{{a}}", "$(id)", "'", '"', "no-such-name", "nosuch"],
  ...[
    "/no/such/place",
    "10GB",
    "1.5GiB",
    "0GiB",
    "99999TiB",
    "150%",
    "100%",
    "__proto__",
    "constructor",
    "toString",
  ],
];
const fromNames = ["zzz", "x-y", "", " ", "1", "é", "toString"];

const ways: Readonly<Record<string, Way>> = {
  "is gone": ({ root, path }) => ({ value: edited(root, path, undefined), paths: [path.slice(0, -1)] }),
  "has another type": at((_, random) => pick(otherTypes, random)),
  "is no data": at((_, random) => pick(noData, random)),
  "is an odd number": at((node, random) => (typeof node === "number" ? pick(oddNumbers, random) : undefined)),
  "is another number": at((node, random) =>
    typeof node === "number" ? pick([node + 1, node - 1, node * 1000, -node], random) : undefined,
  ),
  "is an odd text": at((node, random) =>
    typeof node === "string"
      ? pick([...oddTexts, ...oddStrings(8, Math.floor(random() * 2 ** 31))], random)
      : undefined,
  ),
  "is nearly the text": at((node, random) => (typeof node === "string" ? nearMiss(node, random) : undefined)),
  "is emptied": at((node) => (Array.isArray(node) ? [] : isObject(node) ? {} : undefined)),
  "has an unknown key": inside((node, random) => {
    const keys = Object.keys(node);
    const key =
      random() < 0.6 && keys.length > 0 ? nearMiss(pick(keys, random), random) : pick(fromNames, random);
    return keys.includes(key) ? undefined : [{ ...node, [key]: pick([1, "a", {}, true], random) }, key];
  }),
  "has another name": ({ root, path, parent }, random) => {
    const key = path.at(-1)!;
    if (typeof key === "number") return undefined;
    const name = random() < 0.7 ? nearMiss(key, random) : pick([...fromNames, "no-such"], random);
    if (Object.hasOwn(parent, name)) return undefined;
    const list = Object.entries(parent).map(([one, value]) => [one === key ? name : one, value] as const);
    const above = path.slice(0, -1);
    return { value: edited(root, above, { to: new Entries(list) }), paths: [[...above, name]] };
  },
  "is there twice": ({ root, path, node, parent }) => {
    const above = path.slice(0, -1);
    const key = path.at(-1)!;
    const to = Array.isArray(parent)
      ? [...parent, node]
      : new Entries([...Object.entries(parent), [`${key}2`, node]]);
    return {
      value: edited(root, above, { to }),
      paths: [[...above, Array.isArray(parent) ? parent.length : `${key}2`]],
    };
  },
  "is the value of another field": ({ root, path }, random) => {
    const other = pick(placesOf(root), random);
    return { value: edited(root, path, { to: other.node }), paths: [path] };
  },
  "has changed places with its neighbour": ({ root, path, node, parent }, random) => {
    const key = path.at(-1)!;
    const others = Object.keys(parent).filter((one) => one !== String(key));
    if (others.length === 0) return undefined;
    const other = pick(others, random);
    const above = path.slice(0, -1);
    const mine = edited(root, path, { to: Reflect.get(parent, other) });
    const index = Array.isArray(parent) ? Number(other) : other;
    return { value: edited(mine, [...above, index], { to: node }), paths: [path, [...above, index]] };
  },
  "has one more entry": inside((node, random) =>
    Array.isArray(node) ? [[...node, pick([...otherTypes, ...oddTexts], random)], node.length] : undefined,
  ),
};

/** That many ways in which a definition can be wrong, the same for a seed. Some make another good one. */
export function breakages(definition: unknown, count: number, seed: number): Breakage[] {
  const random = numbers(seed);
  const places = placesOf(definition).slice(1);
  const names = Object.keys(ways);
  const found: Breakage[] = [];
  while (found.length < count) {
    const place = pick(places, random);
    const name = pick(names, random);
    const broken = ways[name]!(place, random);
    if (broken === undefined) continue;
    const [now] = broken.paths.map((path) => valueAt(broken.value, path));
    const words = new Set(
      [place.path, ...broken.paths].flatMap((path) => [
        ...wordsOf(valueAt(definition, path)),
        ...wordsOf(valueAt(broken.value, path)),
        ...path.slice(-1).filter((key) => typeof key === "string"),
      ]),
    );
    found.push({ ...broken, what: `${place.path.join(".")} ${name}: ${shown(now)}`, words });
  }
  return found;
}

function at(change: (node: unknown, random: Random) => unknown): Way {
  return ({ root, path, node }, random) => {
    const to = change(node, random);
    return to === undefined || to === node ? undefined : { value: edited(root, path, { to }), paths: [path] };
  };
}

function inside(
  change: (node: object, random: Random) => readonly [object, string | number] | undefined,
): Way {
  return ({ root, path, node }, random) => {
    const changed = isObject(node) || Array.isArray(node) ? change(node, random) : undefined;
    return changed && { value: edited(root, path, { to: changed[0] }), paths: [[...path, changed[1]]] };
  };
}

/** One letter is missing, doubled, other or in another place; or the case is another. */
function nearMiss(text: string, random: Random): string {
  const spot = Math.floor(random() * text.length);
  const [before, here = "", after] = [text.slice(0, spot), text[spot], text.slice(spot + 1)];
  return pick(
    [
      before + after,
      before + here + here + after,
      `${before}z${after}`,
      before + (after[0] ?? "") + here + after.slice(1),
      text.toUpperCase(),
      `${text}s`,
      ` ${text}`,
    ],
    random,
  );
}

/** The same with another value at the path, or without it. */
function edited(root: unknown, path: Path, change: { readonly to: unknown } | undefined): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return change?.to;
  if (Array.isArray(root)) {
    if (rest.length === 0 && change === undefined) return root.filter((_, index) => index !== key);
    return root.map((item, index) => (index === key ? edited(item, rest, change) : item));
  }
  const entries = Object.entries(root as object);
  if (rest.length === 0 && change === undefined)
    return Object.fromEntries(entries.filter(([one]) => one !== key));
  return Object.fromEntries(
    entries.map(([one, value]) => [one, one === key ? edited(value, rest, change) : value]),
  );
}

function placesOf(root: unknown): Place[] {
  const places: Place[] = [];
  const visit = (node: unknown, path: Path, parent: object) => {
    places.push({ root, path, node, parent });
    if (typeof node !== "object" || node === null) return;
    for (const [key, value] of Object.entries(node))
      visit(value, [...path, Array.isArray(node) ? Number(key) : key], node);
  };
  visit(root, [], {});
  return places;
}

function valueAt(root: unknown, path: Path): unknown {
  let node = root;
  for (const key of path) {
    if (node instanceof Entries) node = node.list.find(([one]) => one === key)?.[1];
    else if (typeof node === "object" && node !== null) node = Reflect.get(node, key);
    else return undefined;
  }
  return node;
}

/** Keys and scalars of a value, short enough to be spoken of. */
function wordsOf(value: unknown): string[] {
  if (value instanceof Expression) return [];
  if (value instanceof Entries) return value.list.flatMap(([key, inner]) => [key, ...wordsOf(inner)]);
  if (typeof value !== "object" || value === null) return [String(value).slice(0, 30)];
  const entries = Object.entries(value);
  return entries.flatMap(([key, inner]) => [...(Array.isArray(value) ? [] : [key]), ...wordsOf(inner)]);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return (value instanceof Expression ? value.text : (JSON.stringify(value) ?? "undefined")).slice(0, 100);
}

function pick<T>(all: readonly T[], random: Random): T {
  return all[Math.floor(random() * all.length)]!;
}
