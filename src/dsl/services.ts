import type { z } from "zod";
import type { Service } from "../schema/spec.ts";

type ServiceInput = z.input<typeof Service>;

/** A unit of the definition's own, enabled by default. */
export function unit(text: string, input: Omit<ServiceInput, "unit"> = {}): ServiceInput {
  return { state: "enabled", ...input, unit: text };
}

/**
 * A command run by the calendar: `...timer({ unit: "stamp", onCalendar: "hourly", exec: "/usr/bin/touch /run/stamp" })` among
 * the services. `exec` is a systemd command line. A run that was missed while the machine was off happens later; with `onBoot`, a
 * systemd time span such as "5s", it also runs that long after each start of the machine. `randomizedDelay`, a time span too, keeps
 * many machines from doing it all at once.
 */
export function timer(input: {
  unit: string;
  onCalendar: string;
  onBoot?: string;
  randomizedDelay?: string;
  exec: string;
  description?: string;
  user?: string;
}): Record<string, ServiceInput> {
  const description = input.description ?? input.unit;
  const onBoot = input.onBoot === undefined ? [] : [`OnBootSec=${input.onBoot}`];
  const delay = input.randomizedDelay === undefined ? [] : [`RandomizedDelaySec=${input.randomizedDelay}`];
  const user = input.user === undefined ? [] : [`User=${input.user}`];
  return {
    [`${input.unit}.service`]: {
      unit: sections({
        Unit: [`Description=${description}`],
        Service: ["Type=oneshot", ...user, `ExecStart=${input.exec}`],
      }),
    },
    [`${input.unit}.timer`]: {
      state: "enabled",
      unit: sections({
        Unit: [`Description=${description}`],
        Timer: [`OnCalendar=${input.onCalendar}`, ...onBoot, ...delay, "Persistent=true"],
        Install: ["WantedBy=timers.target"],
      }),
    },
  };
}

function sections(content: Readonly<Record<string, readonly string[]>>): string {
  const texts = Object.entries(content).map(([name, lines]) => `[${name}]\n${lines.join("\n")}\n`);
  return texts.join("\n");
}
