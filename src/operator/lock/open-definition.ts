import type { Lock } from "../../schema/lock.ts";
import type { Log } from "../../util/log.ts";
import { definitionDigest } from "../definition/digest.ts";
import { type DefinitionFiles, readFiles } from "../definition/files.ts";
import { type Definition, type LoadOptions, loadDefinition } from "../definition/load.ts";
import { readLockFor } from "./lock.ts";

/** A definition with all that an image or a deploy follows from: what it says, its exact packages, its `files/`. */
export interface OpenDefinition extends Definition, DefinitionFiles {
  readonly lock: Lock;
  /** Of all three. */
  readonly digest: string;
}

/** Opens a definition, as `loadDefinition` loads it. One whose lock does not fit it is refused. */
export async function openDefinition(
  path: string,
  options: Pick<LoadOptions, "host" | "from"> & {
    /** Where it goes what the definition lacks before a host may become it. */
    readonly log?: Log;
    /** Refuses what it cannot be used for, before its lock and files are looked at. */
    readonly check?: (definition: Definition) => void | Promise<void>;
  } = {},
): Promise<OpenDefinition> {
  const definition = await loadDefinition(path, {
    host: options.host,
    ...(options.from === undefined ? {} : { from: options.from }),
  });
  for (const line of definition.unfinished) options.log?.warn(line);
  await options.check?.(definition);
  const { lock } = await readLockFor(definition);
  const content = readFiles(definition.filesDir);
  return { ...definition, ...content, lock, digest: definitionDigest(definition.spec, lock, content) };
}
