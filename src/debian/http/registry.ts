import type { Readable } from "node:stream";
import { z } from "zod";
import { parsedJson } from "../../util/digest.ts";
import { Secret } from "../../util/secret.ts";
import { type Answer, type AskOptions, answered, follow } from "./ask.ts";
import { type LoginSource, loginFor } from "./login-files.ts";
import { mayLead, type Registry } from "./registry-address.ts";

const maxTokenBytes = 64 * 2 ** 10;
/** What RFC 6750 lets a token have. */
const tokenText = /^[A-Za-z0-9._~+/-]{1,16384}=*$/;
/** Registries add words of their own. */
const Token = z.object({ token: z.string().optional(), access_token: z.string().optional() });

export interface RegistryOptions extends Omit<AskOptions, "headers" | "mayGo"> {
  readonly headers?: Readonly<Record<string, string>>;
  readonly logins?: readonly LoginSource[] | undefined;
}

/** Logins and tokens that a registry gave or takes, by repository and what they are for. */
const known = new Map<string, Promise<Secret | undefined>>();

/**
 * Asks for a path of a repository, or for an address that the registry gave, with the login that the registry wants where there is one.
 * A 401 that stays is an answer.
 */
export async function askRegistry(
  registry: Registry,
  where: string | URL,
  options: RegistryOptions,
): Promise<Answer> {
  const { logins = [], headers = {}, ...others } = options;
  const rights = options.method === "POST" || options.method === "PUT" ? "pull,push" : "pull";
  const sources = logins.map((one) => (typeof one === "string" ? one : `secret ${one.login.name}`));
  const key = [registry.api, rights, ...sources].join(" ");
  const asked = async (login: Secret | undefined) =>
    await follow(typeof where === "string" ? new URL(`${registry.api}/${where}`) : where, {
      ...others,
      headers: { ...headers, ...(login === undefined ? {} : { authorization: text(login) }) },
      mayGo: (to) => mayLead(to, registry),
    });
  const answer = await asked(await known.get(key)?.catch(() => undefined));
  if (answer.status !== 401) return answer;
  const fresh = logIn(registry, answer.headers["www-authenticate"] ?? "", { ...options, rights });
  known.set(key, fresh);
  fresh.catch(() => known.delete(key));
  const login = await fresh;
  if (login === undefined) return answer;
  answer.body.destroy();
  return await asked(login);
}

/** The `authorization` that a registry asks for; undefined where there is none to give. */
async function logIn(
  registry: Registry,
  challenge: string,
  options: RegistryOptions & { readonly rights: string },
): Promise<Secret | undefined> {
  const login = await loginFor(options.logins ?? [], registry.repository);
  const basic =
    login === undefined
      ? undefined
      : new Secret(login.name, Buffer.from(`Basic ${Buffer.from(login.expose()).toString("base64")}`));
  const bearer = /\bBearer +(.*)$/i.exec(challenge)?.[1];
  if (bearer === undefined) return /\bBasic\b/i.test(challenge) ? basic : undefined;
  const word = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(bearer)?.[1];
  const realm = word("realm") ?? "";
  if (!URL.canParse(realm) || !mayLead(new URL(realm), registry))
    throw new Error(`the registry names ${realm || "nothing"} to log in at; an https address is accepted`);
  const url = new URL(realm);
  const service = word("service");
  if (service !== undefined) url.searchParams.set("service", service);
  const name = registry.repository.slice(registry.repository.indexOf("/") + 1);
  url.searchParams.set("scope", `repository:${name}:${options.rights}`);
  const answer = await follow(url, {
    headers: basic === undefined ? {} : { authorization: text(basic) },
    signal: options.signal,
    proxies: options.proxies,
    mayGo: (to) => mayLead(to, registry),
  });
  if (answer.status !== 200) {
    answer.body.destroy();
    if (answer.status === 401 || answer.status === 403) return undefined;
    throw new Error(`${url.host}, where the registry lets log in: ${answered(answer.status)}`);
  }
  const given = Token.safeParse(parsedJson(await textOf(answer.body, maxTokenBytes)));
  const token = given.data?.token ?? given.data?.access_token ?? "";
  if (!tokenText.test(token)) throw new Error(`${url.host} gives no token to log in with`);
  return new Secret(`token of ${registry.repository}`, Buffer.from(`Bearer ${token}`));
}

function text(secret: Secret): string {
  return Buffer.from(secret.expose()).toString("latin1");
}

/** A short answer of a registry. */
export async function textOf(body: Readable, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += (chunk as Buffer).length;
    if (size > maxBytes) throw new Error(`the registry's answer has more than ${maxBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}
