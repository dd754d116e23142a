import { parseDependencies } from "../package/dependency.ts";

/** A package as far as the order is concerned: its name, and the text of its control file. */
export interface Ordered {
  readonly name: string;
  readonly fields: string;
}

/** What of a set of packages can be placed now, what must wait, and what is to be configured in between. */
interface Round<T> {
  readonly now: readonly T[];
  readonly later: readonly T[];
  /** Names of packages to configure when `now` is placed, with all that they depend on. */
  readonly configure: readonly string[];
}

/**
 * The packages to place next, as apt would have it: apt itself counts as essential, and comes first; and a package waits until
 * what it pre-depends on is configured, which its preinst script may use (Debian Policy 7.2). In a cycle nothing waits.
 *
 * When all are placed, those come before the others that an essential package names in its dependencies, even as an
 * alternative (ImmediateAdd() in apt's packagemanager.cc). Who is configured first gets the lower user number.
 */
export function nextRound<T extends Ordered>(
  waiting: readonly T[],
  all: readonly Ordered[],
  configured: ReadonlySet<string>,
): Round<T> {
  const graph = dependencyGraph(all, configured);
  const apt = waiting.find(({ name }) => name === "apt");
  if (apt !== undefined) {
    const first = new Set(graph.closure(["apt"]));
    const [now, later] = split(waiting, ({ name }) => first.has(name));
    return { now, later, configure: now.map(({ name }) => name) };
  }
  const wants = new Map(waiting.map((item) => [item, graph.missing(item, "Pre-Depends")]));
  const [ready, later] = split(waiting, (item) => wants.get(item)!.length === 0);
  if (later.length === 0 || ready.length === 0)
    return { now: waiting, later: [], configure: graph.closure(graph.immediate()) };
  // What itself waits cannot be configured yet; it is for the round after.
  const waits = new Set(later.map(({ name }) => name));
  const configure = later
    .map((item) => graph.closure(wants.get(item)!))
    .filter((names) => names.every((name) => !waits.has(name)));
  return { now: ready, later, configure: [...new Set(configure.flat())] };
}

function split<T>(all: readonly T[], first: (one: T) => boolean): [T[], T[]] {
  return [all.filter(first), all.filter((item) => !first(item))];
}

function dependencyGraph(all: readonly Ordered[], configured: ReadonlySet<string>) {
  const byName = new Map(all.map((item) => [item.name, item]));
  const providers = new Map<string, Ordered[]>();
  for (const one of all)
    for (const [provided] of parseDependencies(field(one, "Provides")))
      providers.set(provided!.name, [...(providers.get(provided!.name) ?? []), one]);
  const depends = ["Pre-Depends", "Depends"];
  /** Names of packages, not configured, that a field asks for; of alternatives the first that is there. */
  const missing = (one: Ordered, name: string): string[] =>
    parseDependencies(field(one, name)).flatMap((possibilities) => {
      const found = possibilities
        .flatMap((possibility) => [byName.get(possibility.name), ...(providers.get(possibility.name) ?? [])])
        .filter((candidate) => candidate !== undefined);
      if (found.some((candidate) => configured.has(candidate.name))) return [];
      return found.slice(0, 1).map((candidate) => candidate.name);
    });
  const reach = (names: readonly string[], next: (one: Ordered) => readonly string[]): string[] => {
    const found = new Set<string>();
    const queue = [...names];
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const one = byName.get(name);
      if (one === undefined || found.has(name)) continue;
      found.add(name);
      queue.push(...next(one));
    }
    return [...found];
  };
  return {
    missing,
    /** The packages and all that they need, as far as they are not configured. */
    closure: (names: readonly string[]) =>
      reach(names, (item) => depends.flatMap((name) => missing(item, name))),
    immediate: () => {
      const roots = all.filter((item) => item.name === "apt" || /^yes$/i.test(field(item, "Essential")));
      const named = reach(
        roots.map(({ name }) => name),
        (one) =>
          depends.flatMap((name) => parseDependencies(field(one, name)).flat()).map(({ name }) => name),
      );
      return named.filter((name) => !configured.has(name));
    },
  };
}

function field({ fields }: Ordered, name: string): string {
  return new RegExp(`^${name}:((?:.*)(?:\\n[ \\t].*)*)`, "m").exec(fields)?.[1]?.trim() ?? "";
}
