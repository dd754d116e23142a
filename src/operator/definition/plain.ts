/** How much a definition may say: values of all kinds, nesting, and bytes as JSON. */
export const plainLimits = { values: 100_000, depth: 50, bytes: 8 * 1024 * 1024 } as const;

const reservedKeys = new Set(["__proto__", "constructor", "prototype"]);

const needsData = "needs plain data: text, a number, `true`, `false`, a list or an object";

interface PlainProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What keeps `value` from being plain data (null, booleans, finite numbers, text, arrays, object literals); the first problem only. */
export function plainProblem(value: unknown): PlainProblem | undefined {
  let values = 0;
  const above = new Set<object>();
  const visit = (inner: unknown, path: (string | number)[]): PlainProblem | undefined => {
    values += 1;
    if (values > plainLimits.values)
      return { path, message: `has more than ${plainLimits.values} values; so many are accepted at most` };
    if (path.length > plainLimits.depth)
      return {
        path,
        message: `is nested more than ${plainLimits.depth} levels deep; so many are accepted at most`,
      };
    const message = scalarProblem(inner);
    if (message !== undefined) return { path, message };
    if (typeof inner !== "object" || inner === null) return undefined;
    if (above.has(inner)) return { path, message: "contains itself; needs data that ends" };
    above.add(inner);
    for (const key of Reflect.ownKeys(inner)) {
      if (Array.isArray(inner) && key === "length") continue;
      const problem =
        entryProblem(inner, key, path) ?? visit(Reflect.get(inner, key), entryPath(inner, key, path));
      if (problem !== undefined) return problem;
    }
    above.delete(inner);
    return undefined;
  };
  return visit(value, []);
}

function entryPath(owner: object, key: string | symbol, path: (string | number)[]): (string | number)[] {
  return [...path, Array.isArray(owner) ? Number(key) : String(key)];
}

function entryProblem(
  owner: object,
  key: string | symbol,
  path: (string | number)[],
): PlainProblem | undefined {
  if (typeof key === "symbol") return { path, message: "has a symbol as a key; needs text for keys" };
  if (reservedKeys.has(key))
    return { path: [...path, key], message: `\`${key}\` is not accepted as a key; needs another name` };
  if (Array.isArray(owner) && !/^(0|[1-9][0-9]*)$/.test(key))
    return { path, message: `is a list with the key \`${key}\`; needs a list without keys, or an object` };
  if (Reflect.getOwnPropertyDescriptor(owner, key)?.get !== undefined)
    return { path: entryPath(owner, key, path), message: "is a getter; needs the value itself" };
  if (Array.isArray(owner) && owner[Number(key)] === undefined)
    return { path: entryPath(owner, key, path), message: "is undefined; needs a value, or no entry at all" };
  return undefined;
}

function scalarProblem(value: unknown): string | undefined {
  if (typeof value === "number" && !Number.isFinite(value)) return `is ${value}; needs a finite number`;
  if (["function", "symbol", "bigint"].includes(typeof value)) return `is a ${typeof value}; ${needsData}`;
  if (typeof value !== "object" || value === null) return undefined;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (Array.isArray(value))
    return prototype === Array.prototype
      ? value.length > Object.keys(value).length
        ? "is a list with holes; needs a value in each place"
        : undefined
      : `is a list of another kind; ${needsData}`;
  if (prototype === Object.prototype || prototype === null) return undefined;
  const name = (prototype as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === "string" && name !== "Object"
    ? `is ${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}; ${needsData}`
    : `is an object with a prototype of its own; ${needsData}`;
}
