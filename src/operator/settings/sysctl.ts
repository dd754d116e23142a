import type { Setting } from "./setting.ts";

/** sysctl.d(5). Late in the order of names, so that it has the last word over packages. */
export const sysctl: Setting = {
  field: "sysctl",
  files: ({ sysctl }) =>
    sysctl === undefined
      ? []
      : [
          {
            path: "/etc/sysctl.d/90-imgbuild.conf",
            content: Object.entries(sysctl)
              .map(([name, value]) => `${name} = ${value}\n`)
              .join(""),
          },
        ],
  problems: ({ sysctl = {} }) => {
    const names = Object.keys(sysctl);
    return names.flatMap((name, index) => {
      const other = names.slice(0, index).find((one) => settingOf(one) === settingOf(name));
      return other === undefined
        ? []
        : [
            {
              path: ["sysctl", name],
              message: `is the setting \`${other}\` once more; leave one of them out`,
            },
          ];
    });
  },
};

/** The first separator decides which of `.` and `/` is the separator, and which stands for the other. */
function settingOf(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  return first === "/" ? name : name.replace(/[./]/g, (one) => (one === "." ? "/" : "."));
}
