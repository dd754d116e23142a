import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { type Accelerator, accelerator } from "../machine/accelerator.ts";
import { type Machine, type MachineOptions, makeMachine } from "../machine/machine.ts";
import { makeSwitch, type Switch } from "../network/switch.ts";
import { takePlace, waitForMemory } from "./room.ts";

export interface LabOptions {
  readonly cache: string;
  /** IMGBUILD_ACCEL of the environment. */
  readonly accel?: string | undefined;
  readonly log: Log;
  /** Ends all machines. */
  readonly signal?: AbortSignal;
  /** Where the machines' files go; default a temporary one, removed at the end unless `keep`. */
  readonly directory?: string;
  readonly keep?: boolean;
}

/** Machines that belong together, their networks and files. Everything in it ends with `close`, or with us. */
export interface Lab {
  readonly directory: string;
  readonly accelerator: Accelerator;
  readonly machines: readonly Machine[];
  /** A machine, switched off. */
  machine(options: MachineOptions): Promise<Machine>;
  /** The network of this name: a switch of its own, which reaches nothing but the machines plugged into it. */
  network(name: string): Switch;
  /** Switches a machine off for good, and removes its files unless they are kept; its name is free again. */
  drop(machine: Machine): Promise<void>;
  close(): Promise<void>;
}

export async function openLab(options: LabOptions): Promise<Lab> {
  const { log, signal } = options;
  const kind = await accelerator({
    cache: options.cache,
    override: options.accel,
    log,
    ...(signal && { signal }),
  });
  const place = await takePlace({ log, ...(signal && { signal }) });
  if (options.directory !== undefined) await mkdir(options.directory, { recursive: true });
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "imgbuild-lab-")));
  const machines: Machine[] = [];
  const networks = new Map<string, Switch>();
  return {
    directory,
    accelerator: kind,
    machines,
    machine: async (shape) => {
      if (machines.some(({ name }) => name === shape.name))
        throw new Fail(`the lab has a machine ${shape.name} already; names tell machines apart`);
      const machine = await makeMachine(shape, {
        directory: join(directory, shape.name),
        accelerator: kind,
        room: (mib) => waitForMemory(mib, { log, ...(signal && { signal }) }),
        ...(signal && { signal }),
      });
      machines.push(machine);
      return machine;
    },
    network: (name) => {
      const known = networks.get(name) ?? makeSwitch(name);
      networks.set(name, known);
      return known;
    },
    drop: async (machine) => {
      await machine.stop();
      const index = machines.indexOf(machine);
      if (index !== -1) machines.splice(index, 1);
      if (!options.keep) await rm(machine.directory, { recursive: true, force: true });
    },
    close: async () => {
      try {
        await Promise.all(machines.map((machine) => machine.stop()));
      } finally {
        place.leave();
        if (options.directory === undefined && !options.keep)
          await rm(directory, { recursive: true, force: true });
      }
    },
  };
}
