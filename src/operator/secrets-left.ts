/**
 * What an operator has to know of a build that failed behind the first write: until when the base has the secrets, and what to do after
 * that. Undefined where there is nothing to be resumed.
 */
export function secretsLeft(
  { secretsSeconds }: { readonly secretsSeconds?: number | undefined },
  host: string,
  now: number,
): string | undefined {
  if (secretsSeconds === undefined) return undefined;
  const again = `imgbuild resume ${host} --with DEF`;
  if (secretsSeconds === 0) return `the base has no secrets any more; send them again: ${again}`;
  const at = new Date(now + secretsSeconds * 1000);
  const clock = [at.getHours(), at.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":");
  return `the secrets are wiped at ${clock}; later, ${again} sends them again`;
}
