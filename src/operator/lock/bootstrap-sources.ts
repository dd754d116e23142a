import { partsOf } from "../../debian/archive/sources.ts";
import { download, type TransferBounds } from "../../debian/http/http.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import { Spec } from "../../schema/spec.ts";
import type { Env } from "../../system/files/cache.ts";
import type { ReleaseName } from "../../tables/release.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { mirrorsFor } from "./lock.ts";

const maxReleaseBytes = 4 * 2 ** 20;
/** A mirror that is slower than this is passed over. */
const bounds: TransferBounds = { windowMs: 20_000, leastBytes: 1024, pauseMs: 500 };

/**
 * Lines of apt sources for a release, its updates and its security suite, for a tool that bootstraps a system: of the mirrors that
 * are chosen here for everything, the first that has each suite. A suite beside the release that no mirror has is left out.
 */
export async function bootstrapSources(
  suite: ReleaseName,
  options: {
    readonly env: Env;
    /** Default: as they are chosen on this machine. */
    readonly mirrors?: Readonly<Record<string, readonly string[]>>;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<string[]> {
  const spec = Spec.parse({ hostname: "bootstrap", system: { suite } });
  const mirrors = options.mirrors ?? (await mirrorsFor(spec, options.env));
  const lines: string[] = [];
  for (const part of partsOf(suite)) {
    const problems: string[] = [];
    for (const url of mirrors[part.archive] ?? []) {
      const what = { path: `dists/${part.suite}/InRelease`, maxBytes: maxReleaseBytes, bounds };
      const problem = await download(
        [url],
        { ...what, proxies: proxiesOf(options.env) },
        options.signal,
      ).then(() => undefined, messageOf);
      options.signal?.throwIfAborted();
      if (problem !== undefined) {
        problems.push(problem);
        continue;
      }
      lines.push(`deb ${url} ${part.suite} main`);
      break;
    }
    if (lines.length === 0)
      throw new Fail(`no mirror has ${part.suite}: ${problems.join("; ")}`, {
        hint: "check the network; IMGBUILD_MIRROR names a mirror",
      });
  }
  return lines;
}
