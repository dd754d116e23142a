import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { parsedJson } from "../../util/digest.ts";
import { Fail, reasonOf } from "../../util/fail.ts";
import { Secret } from "../../util/secret.ts";

/** Some registries of one person have a line each. */
const maxFileBytes = 2 ** 20;

/** A file that may have logins, or the secret that a definition names for a repository. */
export type LoginSource = string | { readonly repository: string; readonly login: Secret };

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

/** "user:password" for a repository as "registry.example.org/name"; undefined where nothing has it. */
export async function loginFor(
  sources: readonly LoginSource[],
  repository: string,
): Promise<Secret | undefined> {
  for (const source of sources) {
    const found =
      typeof source === "string"
        ? await loginIn(source, repository)
        : source.repository === repository
          ? loginOf(source.login)
          : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A file that was edited ends in a line's end. */
function loginOf(secret: Secret): Secret {
  const bytes = Buffer.from(secret.expose());
  const line = bytes.subarray(0, bytes.length - (bytes.at(-1) === 0x0a ? 1 : 0));
  if (isLogin(line)) return new Secret(secret.name, line);
  throw new Fail(`the secret ${secret.name} is no login such as "user:password"`, {
    hint: `imgbuild secrets edit ${secret.name}.age`,
  });
}

async function loginIn(file: string, repository: string): Promise<Secret | undefined> {
  const auths = Object.entries((await readLogins(file)) ?? {}).map(
    ([where, { auth }]) => [placeOf(where), auth ?? ""] as const,
  );
  const [best] = auths
    .filter(([where, auth]) => auth !== "" && (repository === where || repository.startsWith(`${where}/`)))
    .sort(([a], [b]) => b.length - a.length);
  if (best === undefined) return undefined;
  const [where, auth] = best;
  const bytes = Buffer.from(auth, "base64");
  if (isLogin(bytes)) return new Secret(`login of ${where}`, bytes);
  throw new Fail(`${file} has no "user:password" in base64 for ${where}`, { hint: `podman login ${where}` });
}

function isLogin(bytes: Buffer): boolean {
  return bytes.indexOf(":") > 0 && !/[\0\r\n]/.test(bytes.toString("latin1"));
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
