import type { Mirrors } from "../../debian/archive/mirrors.ts";
import type { Keepers } from "../../debian/http/places.ts";
import type { Facts } from "../../schema/facts.ts";
import type { Host } from "../../transport/host.ts";
import type { Log } from "../../util/log.ts";
import type { Secret } from "../../util/secret.ts";
import type { SignedLoaders } from "../inspect/needs.ts";
import type { PlanInputs } from "../plan/plan.ts";
import type { PlanView } from "../plan/planned.ts";
import type { KnownDeploy } from "../records/known-deploys.ts";
import type { Measured } from "../records/measured.ts";
import type { KeepIdentity } from "../secrets/keep-identity.ts";
import type { BaseFiles } from "../takeover/takeover.ts";
import type { WayName } from "../takeover/ways/way.ts";
import type { BuildOn } from "../tree/build-on.ts";
import type { Trees } from "../tree/trees.ts";

/** What a deploy starts from: all of it known before the host is asked anything. */
export interface DeployInputs extends PlanInputs {
  readonly base: BaseFiles;
  /** As the user named it. */
  readonly host: string;
  /** It was built here before, just as it is. */
  readonly tried: boolean;
  /** Packages beside the definition, by their paths in the lock: no mirror has them, so they travel along. */
  readonly debs: ReadonlyMap<string, Uint8Array>;
  /** Secrets that are open already. */
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Opens those of the definition: when nothing else speaks against the deploy, as it may ask for a passphrase. */
  readonly openSecrets?: (() => Promise<ReadonlyMap<string, Secret>>) | undefined;
  /** Those of the definition's secrets, for whom the record of the deploy is encrypted that goes along with the base. */
  readonly recipients?: readonly string[];
  readonly mirrors: Readonly<Record<"debian" | "debian-security", readonly string[]>>;
  /** Whom the target asks for what no mirror has. */
  readonly keepers?: Keepers;
  /** The only way in which the base may be started; default: what the host allows. */
  readonly takeover?: WayName | undefined;
  /** User of the new system to log in as; default: root of the spec's users that a key of ours opens. */
  readonly login: string | undefined;
  /** The repository says by which host keys the host is known. */
  readonly pinned?: boolean;
  /** Serials, or what stands for them, of the only disks that may be written; undefined where any may. */
  readonly mayWipe?: readonly string[] | undefined;
  readonly deadManSeconds: number;
  /** Every key of the old login opens the base too, not only the one that this deploy used. */
  readonly keepAccess: boolean;
  /** The payload is of any age: the machine's clock cannot be set right. */
  readonly ignoreClock: boolean;
  /** Words added to the base's kernel command line. */
  readonly baseCmdline: readonly string[];
  /** Factor on the times of the new system's checks. */
  readonly slow: number;
  /** Checks that fail on the new system are reported, and the deploy is done all the same. */
  readonly acceptDegraded?: boolean;
  /** Where its tree is made; undefined lets a deploy choose. */
  readonly buildOn?: BuildOn | undefined;
  /** Of a tree that is made here: the definition's `files/`, and where packages are got. */
  readonly filesDir?: string | undefined;
  readonly ownMirrors?: Mirrors | undefined;
  /** Bounds of the waits, in milliseconds; a slow machine gets more. */
  readonly waitMs: { readonly base: number; readonly build: number; readonly boot: number };
}

/** How to reach the machine in each of its three lives. */
export interface ConnectOptions {
  readonly user?: string;
  /** In place of the host's own. */
  readonly port?: number;
  /** Host keys to accept instead of known_hosts. */
  readonly pins?: readonly string[];
  /** A private key to use before the user's own. */
  readonly key?: string;
  readonly timeoutMs?: number;
}

export interface DeployWorld {
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Milliseconds, as Date.now. */
  readonly now: () => number;
  readonly connect: (options: ConnectOptions) => Promise<Host>;
  /** Public keys (type and base64) the operator can log in with. */
  readonly publicKeys: () => Promise<readonly string[]>;
  readonly mirrorsIn: (oneLine: string, deb822: string) => Facts["mirrors"];
  /** Shows what will happen to which disk; throws a Fail with exit code 3 unless it is confirmed. */
  readonly confirm: (view: PlanView) => Promise<void>;
  /** Writes down, before the takeover, how the base is found again. */
  readonly record: (known: Omit<KnownDeploy, "host">) => Promise<void>;
  /** Keeps by what the new system is known, for a recovery; undefined where nothing says where. */
  readonly keep?: KeepIdentity | undefined;
  readonly password: (() => Promise<Secret>) | undefined;
  /** Trees that this machine has or makes; undefined where none is shipped. */
  readonly trees?: Trees | undefined;
  /** What the new system starts by, where Debian's signatures are for the firmware to judge. */
  readonly loaders?: ((inputs: DeployInputs) => Promise<SignedLoaders>) | undefined;
  /** What deploys to this host have shown before, and what this one does. */
  readonly measured?:
    | { before(): Promise<Measured | undefined>; note(now: Measured): Promise<void> }
    | undefined;
}
