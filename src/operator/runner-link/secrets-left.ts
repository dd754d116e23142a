import { Fail } from "../../util/fail.ts";

/** As the runner says it: 0 means that it has none any more, and nothing that there is nothing to resume, or that they are in use. */
interface Left {
  readonly secretsSeconds?: number | undefined;
}

/** What to type when a build has failed after the first write; and until when the base has the secrets. */
export function howToGoOn({ secretsSeconds }: Left, host: string, now: number): string {
  const resume = `imgbuild resume ${host}`;
  const again = `${resume} --with DEF`;
  if (secretsSeconds === 0) return `the base has no secrets any more; send them again: ${again}`;
  const mended = `when the cause is mended: ${resume}`;
  if (secretsSeconds === undefined) return mended;
  const at = new Date(now + secretsSeconds * 1000);
  const clock = [at.getHours(), at.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":");
  return `${mended}; the secrets are wiped at ${clock}; later, ${again} sends them again`;
}

/** A build cannot be resumed with secrets that are not there any more. */
export function requireSecrets({ secretsSeconds }: Left, host: string): void {
  if (secretsSeconds === 0)
    throw new Fail(
      "the base has wiped the secrets, and cannot resume the build without them; nothing was done",
      {
        hint: `send them again, with the definition: imgbuild resume ${host} --with DEF`,
      },
    );
}
