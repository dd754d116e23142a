import { mirrorsFor } from "../../../src/operator/lock/lock.ts";
import { openDefinition } from "../../../src/operator/lock/open-definition.ts";
import { treeForHost } from "../../../src/operator/tree/tree-for-host.ts";
import { treesHere } from "../../../src/operator/tree/trees.ts";
import { cacheRoot } from "../../../src/system/files/cache.ts";
import { silentLog } from "../../../src/util/log.ts";

/** Packs the tree of a definition as a deploy does, by whoever runs this, and prints its digest. */
async function pack(path: string): Promise<void> {
  const { env } = process;
  const definition = await openDefinition(path);
  const mirrors = await mirrorsFor(definition.spec, env, definition.dir);
  const { filesDir, digest } = definition;
  const inputs = { ...definition, filesDir, definition: digest, mirrors };
  const facts = { machineId: "0".repeat(32), bootId: "1", consoles: ["ttyS0"] };
  const { made } = treeForHost(inputs, { facts, mirrors });
  const signal = new AbortController().signal;
  const trees = treesHere({ env, cache: cacheRoot(env), log: silentLog, signal });
  const problem = await trees.problem();
  if (problem !== undefined) throw new Error(problem);
  const { tree } = await trees.make({ ...inputs, secrets: undefined }, made, silentLog);
  // The second time it is there.
  if ((await trees.find(made))?.tree.sha256 !== tree.sha256) throw new Error("it is not in the cache");
  console.log(tree.sha256);
}

await pack(process.argv[2]!);
