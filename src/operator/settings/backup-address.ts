import type { Data } from "../../schema/settings.ts";

/** A server that answers at a port. */
interface Server {
  readonly host: string;
  readonly port: number;
  /** By SSH: `user@host`, as `ssh` takes it. */
  readonly login?: string;
}

const sshPort = 22;
/** Clouds are asked by their names; without a host in the address it is Amazon's. */
const webPorts: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** The server that an address of a backup leads to; undefined where it names none, as a path. */
export function serverOf(backup: Data["backup"]): Server | undefined {
  if (backup.type === "command") return undefined;
  if (backup.type === "rsync") return sshServer(backup.target, "ssh");
  if (typeof backup.repository !== "string") return undefined;
  if (backup.type === "borg") return sshServer(backup.repository, "ssh");
  if (backup.repository.startsWith("sftp:")) {
    const rest = backup.repository.slice("sftp:".length);
    return sshServer(rest.startsWith("//") ? backup.repository : rest, "sftp");
  }
  return webServer(backup.repository);
}

/** Whether the address is reached by SSH. */
export function usesSsh(backup: Data["backup"]): boolean {
  return serverOf(backup)?.login !== undefined;
}

/** Whether the address is one of this machine's own, which is there only when its filesystems are. */
export function isOwnPath(backup: Data["backup"]): boolean {
  if (backup.type === "command") return false;
  const address = backup.type === "rsync" ? backup.target : backup.repository;
  return typeof address === "string" && /^(local:)?\//.test(address);
}

/** `scheme://user@host:port/path`, or `user@host:path`. */
function sshServer(address: string, scheme: string): Server | undefined {
  const url = new RegExp(`^${scheme}://(?:([^@/]+)@)?(\\[[^\\]]+\\]|[^:/]+)(?::(\\d+))?/`).exec(address);
  const short = /^(?:([^@/:]+)@)?(\[[^\]]+\]|[^:/@[\]]+):(?!\/\/)/.exec(address);
  const [, user, written, port] = url ?? short ?? [];
  if (written === undefined) return undefined;
  const host = written.replace(/^\[|\]$/g, "");
  return {
    host,
    port: port === undefined ? sshPort : Number(port),
    login: user === undefined ? host : `${user}@${host}`,
  };
}

function webServer(repository: string): Server | undefined {
  const [, scheme = "", host, port] =
    /^(?:rest|s3|swift):(https?):\/\/(?:[^@/]*@)?(\[[^\]]+\]|[^:/]+)(?::(\d+))?/.exec(repository) ??
    /^(s3):(?!https?:)([^:/]+)(?::(\d+))?\//.exec(repository) ??
    [];
  if (host === undefined) return undefined;
  return {
    host: host.replace(/^\[|\]$/g, ""),
    port: port === undefined ? (webPorts[scheme] ?? webPorts.https!) : Number(port),
  };
}
