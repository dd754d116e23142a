import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";

const ofTime = 'write the time down, as `new Date("2026-01-01")`';
const ofChance = "write the value down; what must be secret is a secret of the definition, an age file";
const ofNetwork = "download it once, and commit it beside the definition";
const ofEnvironment =
  "write the value into the definition, or into the parameters of a host in hosts.yaml where hosts differ";

/** Of `process`, what says nothing of the machine, of the time, or of who runs it. */
const ofProcess = [
  ...["cwd", "emitWarning", "exit", "exitCode", "nextTick", "off", "on", "once", "platform", "release"],
  ...["stderr", "stdin", "stdout", "version", "versions"],
];

/** Of the environment. */
const packagesAskFor = { NODE_ENV: "production" };

/**
 * Makes what differs from run to run or from machine to machine throw: clock, chance, environment and network. What a
 * definition says decides digests and images, which are to be the same for everybody. For the child's process alone.
 */
export function refuseWhatChanges(): void {
  refuseClock();
  refuseChance();
  for (const name of ["fetch", "WebSocket", "EventSource", "XMLHttpRequest"])
    if (name in globalThis) replace(globalThis, name, refusing(`${name}()`, ofNetwork));
  const narrow = new Proxy(process, {
    get(target, name) {
      const what = `process.${String(name)}`;
      if (name === "env") return refusingAll(what, ofEnvironment, packagesAskFor);
      const found: unknown = Reflect.get(target, name, target);
      if (typeof name === "symbol" || ofProcess.includes(name) || found === undefined)
        return typeof found === "function" ? found.bind(target) : found;
      return refusing(what, ofEnvironment)();
    },
  });
  replace(globalThis, "process", narrow);
}

function refuseClock(): void {
  const now = refusing("Date.now()", ofTime);
  const clockless = new Proxy(Date, {
    apply: refusing("Date()", ofTime),
    construct(target, args, newTarget) {
      if (args.length === 0) refusing("new Date()", ofTime)();
      return Reflect.construct(target, args, newTarget) as Date;
    },
  });
  replace(Date, "now", now);
  replace(Date.prototype, "constructor", clockless);
  replace(globalThis, "Date", clockless);
  replace(globalThis, "performance", refusingAll("performance", ofTime));
  const { Temporal: temporal } = globalThis as { Temporal?: object };
  if (temporal !== undefined) replace(temporal, "Now", refusingAll("Temporal.Now", ofTime));
  const { DateTimeFormat } = Intl;
  const bound = Reflect.getOwnPropertyDescriptor(DateTimeFormat.prototype, "format")!.get!;
  const { formatToParts } = DateTimeFormat.prototype;
  const given = (date: unknown) => {
    if (date === undefined) refusing("the time of an Intl.DateTimeFormat", ofTime)();
  };
  Reflect.defineProperty(DateTimeFormat.prototype, "format", {
    configurable: true,
    get(this: Intl.DateTimeFormat) {
      const format = bound.call(this) as Intl.DateTimeFormat["format"];
      return (date: Date) => {
        given(date);
        return format(date);
      };
    },
  });
  replace(DateTimeFormat.prototype, "formatToParts", function (this: Intl.DateTimeFormat, date: Date) {
    given(date);
    return formatToParts.call(this, date);
  });
}

function refuseChance(): void {
  replace(Math, "random", refusing("Math.random()", ofChance));
  const web = globalThis.crypto;
  for (const [owner, names] of [
    [web, ["getRandomValues", "randomUUID"]],
    [web.subtle, ["generateKey"]],
    [crypto, Object.keys(crypto).filter((name) => /^(random|generate|getRandom|prng|rng)/i.test(name))],
  ] as const)
    for (const name of names) replace(owner, name, refusing(`${name}()`, ofChance));
  // What is imported by its name is the replacement too.
  syncBuiltinESMExports();
}

function refusing(what: string, instead: string): () => never {
  return () => {
    throw new Error(
      `${what} is not for definitions: it differs from run to run or between machines; ${instead}`,
    );
  };
}

/** Whose every property throws, but for those that are known. */
function refusingAll(what: string, instead: string, known: Readonly<Record<string, string>> = {}): object {
  const refuse = (_target: object, name: string | symbol) => {
    if (typeof name === "symbol" || Object.hasOwn(known, name)) return Reflect.get(known, name) as unknown;
    return refusing(`${what}.${name}`, instead)();
  };
  return new Proxy({}, { get: refuse, has: refuse as never, ownKeys: refusing(what, instead) });
}

function replace(owner: object, name: string, value: unknown): void {
  Reflect.defineProperty(owner, name, { configurable: true, enumerable: true, writable: true, value });
}
