import { build } from "esbuild";

/** Through which it answers where it runs in the base. */
export const resultsPort = "org.imgbuild.runner";

/** `network-round-trip.ts` as one file. */
export async function bundleRoundTrip(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    ...{ entryPoints: ["test/helpers/labs/network-round-trip.ts"], bundle: true, write: false },
    ...{ platform: "node", format: "cjs", logLevel: "error", outfile: "round-trip.cjs" },
  });
  return outputFiles[0]!.contents;
}
