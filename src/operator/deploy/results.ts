import type { DeployData } from "../../schema/base/deploy.ts";
import type { Facts } from "../../schema/facts.ts";
import type { Host } from "../../transport/host.ts";
import type { Secret } from "../../util/secret.ts";
import type { Finding } from "../inspect/finding.ts";
import type { Planned, PlanView } from "../plan/planned.ts";
import type { NewSystem } from "../records/known-deploys.ts";
import type { Way } from "../takeover/ways/way.ts";
import type { HostRoom } from "../tree/host-room.ts";
import type { PackedTree } from "../tree/packed-tree.ts";
import type { TreeForHost } from "../tree/tree-for-host.ts";

// What the phases give, each to the next.

interface KeyPair {
  readonly private: string;
  readonly public: string;
}

/** Keys and nonce of one deploy; in memory only. */
export interface Identity {
  /** 64 hexadecimal digits. */
  readonly nonce: string;
  readonly baseKey: KeyPair;
  readonly clientKey: KeyPair;
}

/** The old system, looked at and not changed. */
interface Look {
  /** Whoever looked closes it. */
  readonly old: Host;
  readonly facts: Facts;
  readonly findings: readonly Finding[];
  /** Where its sshd is reached, as it sees itself; the address is empty where it does not say. */
  readonly reached: { readonly address: string; readonly port: number };
  /** Lines of authorized_keys for the base, besides those of the definition's administrators. */
  readonly access: readonly string[];
}

/** Something stands against the deploy. */
interface NoGo extends Look {
  readonly verdict: "no-go";
}

interface Go extends Look, Planned {
  readonly verdict: "go";
  readonly bound: PlanView["bound"];
  /** User of the new system to verify it with. */
  readonly loginUser: string;
  /** The one that answered the host. */
  readonly mirror: string;
  /** How the base is started. */
  readonly way: Way;
  readonly identity: Identity;
  readonly data: Omit<DeployData, "publicKey">;
  /** The tree that will be in the base's initramfs; undefined where the base makes it. */
  readonly tree?: TreeForHost | undefined;
  /** Where the old system makes it, if it does. */
  readonly room?: HostRoom | undefined;
  readonly build?: PlanView["build"];
}

export type Inspected = NoGo | Go;

/** The tree, if one is sent, is made. */
export interface Ready extends Go {
  readonly packed?: PackedTree | MadeThere | undefined;
}

/** What the base has to find in a tree that the host has made, and alone has. */
export interface MadeThere {
  readonly tree: PackedTree["tree"];
  readonly archive?: undefined;
}

/** Somebody has said yes, and the secrets are open. */
export interface Confirmed extends Ready {
  readonly secrets: ReadonlyMap<string, Secret>;
}

/** The old system was asked to start the base. */
export interface Shipped extends Confirmed {
  readonly hostKeys: HostKeys;
  readonly newSystem: NewSystem;
}

export interface HostKeys {
  /** Private ones, by the names under which they travel with the secrets. */
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Public halves, by which the new system is known. */
  readonly pins: readonly string[];
  /** That of its initramfs, where the root is opened over SSH. */
  readonly initramfsPin?: string | undefined;
  /** That of the base where it stays as rescue system. */
  readonly rescuePin?: string | undefined;
}
