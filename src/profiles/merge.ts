import type { SpecInput } from "../schema/spec.ts";
import { showPath } from "../util/problem.ts";

/** A part of a definition: what a profile gives. */
export type Part = Partial<SpecInput>;

/**
 * One definition of several parts, each of which may say anything:
 * - lists are joined in the order of the parts; what is equal to an entry before it is left out;
 * - objects are joined key by key;
 * - everything else may be said by several parts if they say the same. If they do not, that is an error which names the field;
 *   `override(value)` decides it.
 *
 * Nothing of what is passed in is changed.
 */
export function merge(...parts: [...Part[], SpecInput]): SpecInput;
export function merge(...parts: Part[]): Part;
export function merge(...parts: Part[]): Part {
  return settled(parts.reduce<unknown>((all, part) => joined(all, part, []), {})) as Part;
}

/**
 * Replaces what earlier parts say of the same field: a value, a list or an object. Parts
 * after it are joined to it as usual. Only `merge` reads it.
 */
export function override<T>(value: T): T {
  return new Override(value) as T;
}

class Override {
  readonly value: unknown;
  constructor(value: unknown) {
    this.value = value;
  }
}

type Path = readonly (string | number)[];

function joined(before: unknown, after: unknown, path: Path): unknown {
  if (after === undefined) return before;
  if (before === undefined || after instanceof Override) return settled(after);
  if (Array.isArray(before) && Array.isArray(after)) {
    const all = [...before];
    for (const one of after.map(settled)) if (!all.some((other) => isSame(other, one))) all.push(one);
    return all;
  }
  if (isRecord(before) && isRecord(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return Object.fromEntries([...keys].map((key) => [key, joined(before[key], after[key], [...path, key])]));
  }
  if (isSame(before, after)) return before;
  throw new Error(
    `${showPath(path)} is ${shown(before)} in one part and ${shown(after)} in a later one; say it once, or \`override(${shown(after)})\` in the later one`,
  );
}

/** Without the marks of `override`, at any depth: there is nothing before them. */
function settled(value: unknown): unknown {
  if (value instanceof Override) return settled(value.value);
  if (Array.isArray(value)) return value.map(settled);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, settled(inner)]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** By what is in it; the order of an object's keys is of no matter. */
function isSame(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((inner, index) => isSame(inner, other[index]));
  if (isRecord(one) && isRecord(other)) {
    const keys = Object.keys(one);
    return (
      keys.length === Object.keys(other).length &&
      keys.every((key) => Object.hasOwn(other, key) && isSame(one[key], other[key]))
    );
  }
  return one === other;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
