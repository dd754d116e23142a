import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { parsedJson } from "../../util/digest.ts";
import { Fail, reasonOf } from "../../util/fail.ts";
import { Secret } from "../../util/secret.ts";

/** Some registries of one person have a line each. */
const maxFileBytes = 2 ** 20;

/** As `docker login` and `podman login` write it; what else is in it is theirs. */
const LoginFile = z.object({
  auths: z.record(z.string(), z.object({ auth: z.string().optional() })).optional(),
});

/** Files that may have logins, the first preferred: containers-auth.json(5), then Docker's. */
export function loginFiles(env: Readonly<Record<string, string | undefined>>): string[] {
  const config = env.XDG_CONFIG_HOME || (env.HOME && join(env.HOME, ".config"));
  const docker = env.DOCKER_CONFIG || (env.HOME && join(env.HOME, ".docker"));
  const containers = (dir: string | undefined) => (dir ? [join(dir, "containers/auth.json")] : []);
  return [
    ...(env.REGISTRY_AUTH_FILE ? [env.REGISTRY_AUTH_FILE] : []),
    ...containers(env.XDG_RUNTIME_DIR),
    ...containers(config),
    ...(docker ? [join(docker, "config.json")] : []),
  ];
}

/** "user:password" for a repository as "registry.example.org/name"; undefined where no file has it. */
export async function loginFor(files: readonly string[], repository: string): Promise<Secret | undefined> {
  for (const file of files) {
    const auths = Object.entries((await readLogins(file)) ?? {}).map(
      ([where, { auth }]) => [placeOf(where), auth ?? ""] as const,
    );
    const [best] = auths
      .filter(([where, auth]) => auth !== "" && (repository === where || repository.startsWith(`${where}/`)))
      .sort(([a], [b]) => b.length - a.length);
    if (best === undefined) continue;
    const [where, auth] = best;
    const bytes = Buffer.from(auth, "base64");
    const colon = bytes.indexOf(":");
    if (colon > 0 && !/[\0\r\n]/.test(bytes.toString("latin1")))
      return new Secret(`login of ${where}`, bytes);
    throw new Fail(`${file} has no "user:password" in base64 for ${where}`, {
      hint: `podman login ${where}`,
    });
  }
  return undefined;
}

/** Some write a registry as the URL of its interface. */
function placeOf(where: string): string {
  return where
    .replace(/^https?:\/\//, "")
    .replace(/\/+$/, "")
    .replace(/\/v[12]$/, "");
}

async function readLogins(file: string): Promise<z.output<typeof LoginFile>["auths"]> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) return undefined;
  if (found.size > maxFileBytes) throw new Fail(`${file} is larger than ${maxFileBytes} bytes`);
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw new Fail(`${file} cannot be read: ${reasonOf(error)}`, { cause: error });
  });
  const read = LoginFile.safeParse(parsedJson(text));
  // Its text stays out of messages.
  if (!read.success)
    throw new Fail(`${file} is not what \`docker login\` or \`podman login\` writes`, {
      hint: "mend it, or log in again",
    });
  return read.data.auths;
}
