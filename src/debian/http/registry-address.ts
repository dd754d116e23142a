/** A repository of a registry. */
export interface Registry {
  /** "oci://registry.example.org/name" */
  readonly url: string;
  /** "registry.example.org/name" */
  readonly repository: string;
  /** "https://registry.example.org/v2/name" */
  readonly api: string;
  readonly onLoopback: boolean;
}

const part = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const host = "(?:[a-z0-9]+(?:[.-]+[a-z0-9]+)*|\\[[0-9a-f:]+\\])";
const address = new RegExp(`^oci://(${host})(:[0-9]{1,5})?/(${part}(?:/${part})*)$`);

/** What an `oci:` URL names; undefined for what is none. Only a registry on loopback is asked without TLS. */
export function registryOf(url: string): Registry | undefined {
  const [, name, port = "", repository] = address.exec(url) ?? [];
  if (name === undefined || repository === undefined) return undefined;
  const onLoopback = isLoopback(name);
  return {
    url,
    repository: `${name}${port}/${repository}`,
    api: `${onLoopback ? "http" : "https"}://${name}${port}/v2/${repository}`,
    onLoopback,
  };
}

/** Where a registry may send who asks it. */
export function mayLead(to: URL, { onLoopback }: Registry): boolean {
  return to.protocol === "https:" || (to.protocol === "http:" && onLoopback && isLoopback(to.hostname));
}

function isLoopback(name: string): boolean {
  return name === "localhost" || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name);
}
