import { Fail } from "../../util/fail.ts";

/** HTTP proxies by the scheme of what is fetched, and the hosts that are reached without. */
export interface Proxies {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  /** As in `no_proxy`: host names, which stand for all below them, addresses, each with a port or without; or "*". */
  readonly except?: string | undefined;
}

/** The proxies that an environment names, in lower or upper case, as curl and apt read it. */
export function proxiesOf(env: Readonly<Record<string, string | undefined>>): Proxies {
  const all = env.all_proxy || env.ALL_PROXY;
  return {
    // HTTP_PROXY in capitals may come from a request's header in CGI programs: curl does not read it either.
    http: env.http_proxy || all,
    https: env.https_proxy || env.HTTPS_PROXY || all,
    except: env.no_proxy || env.NO_PROXY,
  };
}

/** The proxy through which a URL is fetched; undefined where it is reached directly. */
export function proxyFor(url: URL, proxies: Proxies): URL | undefined {
  const text =
    url.protocol === "https:" ? proxies.https : url.protocol === "http:" ? proxies.http : undefined;
  if (text === undefined || text === "" || isExcepted(url, proxies.except ?? "")) return undefined;
  const full = /^[a-z0-9+.-]+:\/\//i.test(text) ? text : `http://${text}`;
  const proxy = URL.canParse(full) ? new URL(full) : undefined;
  if (proxy?.protocol === "http:") return proxy;
  throw new Fail(`the proxy ${text} is no http:// URL`, {
    hint: "set http_proxy or https_proxy to http://HOST:PORT, or unset it",
  });
}

function isExcepted(url: URL, except: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return except
    .split(/[\s,]+/)
    .filter((word) => word !== "")
    .some((one) => {
      if (one === "*") return true;
      const [, name = "", only] =
        /^\[?(.*?)\]?(?::(\d+))?$/.exec(one.includes("::") ? `[${one}]` : one) ?? [];
      const bare = name.toLowerCase().replace(/^\*?\./, "");
      return (only === undefined || only === port) && (host === bare || host.endsWith(`.${bare}`));
    });
}
