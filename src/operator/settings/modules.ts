import type { Spec } from "../../schema/spec.ts";
import { mountsOf } from "../../storage/graph/check-storage.ts";
import { storageModules } from "../../storage/system/storage-config.ts";
import type { Problem } from "../../util/problem.ts";
import type { Setting } from "./setting.ts";

/** modules-load.d(5) and modprobe.d(5). */
export const modules: Setting = {
  field: "modules",
  files: ({ modules }) => {
    if (modules === undefined) return [];
    const { load, options, blocked } = modules;
    const lines = [
      ...Object.entries(options).map(([name, parameters]) => {
        const words = Object.entries(parameters).map(([parameter, value]) => `${parameter}=${value}`);
        return ["options", name, ...words].join(" ");
      }),
      // The first keeps udev from loading it by one of its aliases, the second everything else.
      ...blocked.flatMap((name) => [`blacklist ${name}`, `install ${name} /bin/false`]),
    ];
    return [
      ...(load.length === 0 ? [] : [{ path: "/etc/modules-load.d/imgbuild.conf", content: textOf(load) }]),
      ...(lines.length === 0 ? [] : [{ path: "/etc/modprobe.d/imgbuild.conf", content: textOf(lines) }]),
    ];
  },
  problems: (spec) => {
    const { load = [], blocked = [] } = spec.modules ?? {};
    const needed = new Set(modulesOfStorage(spec).map(nameOf));
    return blocked.flatMap((name, index): Problem[] => {
      const path = ["modules", "blocked", index];
      if (load.some((one) => nameOf(one) === nameOf(name)))
        return [{ path, message: `${name} is in \`modules.load\` too; leave one of them out` }];
      return needed.has(nameOf(name))
        ? [{ path, message: `${name} is needed by what \`storage\` has; leave it out` }]
        : [];
    });
  },
  expected: ({ modules }) =>
    (modules?.load ?? []).map((name, index) => ({
      path: ["modules", "load", index],
      kind: "kernel module" as const,
      name,
    })),
};

/** A filesystem's module has its name. */
function modulesOfStorage({ storage }: Spec): string[] {
  return storage === undefined
    ? []
    : [...storageModules(storage), ...mountsOf(storage).map(({ type }) => type)];
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

/** The kernel takes both signs for the same. */
function nameOf(name: string): string {
  return name.replaceAll("-", "_");
}
