/**
 * What an `IMGBUILD.ts` imports as "imgbuild/profiles": parts that many servers have in common, and what joins them to one
 * definition. `image(merge(server(), hardened(), { hostname: "web", … }))`.
 */
export { cloud } from "./cloud.ts";
export { hardened } from "./hardened.ts";
export { merge, override, type Part } from "./merge.ts";
export { server } from "./server.ts";
