import { describe, expect, it } from "vitest";
import {
  keepersFor,
  remoteKeepers,
  storeUrl,
  withStore,
  withStores,
} from "../../../../src/debian/archive/keepers.ts";
import { registryOf } from "../../../../src/debian/http/registry-address.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";
import { lockedPackage, lockOf } from "../../../helpers/builders/lock.ts";

const key = `ed25519:${"A".repeat(43)}=`;
const lock = lockOf([lockedPackage("aa", "1")]);
const withUrls = (...urls: string[]) => serverSpec({ system: { stores: urls.map((url) => ({ url, key })) } });

describe("keepersFor", () => {
  it("asks the environment's stores, then the definition's, which may be relative to it", () => {
    const spec = withUrls("https://store.example.org/imgbuild/", "../store", "file:///srv/store");
    const env = { IMGBUILD_STORE: "/mnt/own,https://near.example.org" };
    expect(keepersFor({ spec, lock, dir: "/srv/repo/web" }, env).stores).toEqual([
      "file:///mnt/own",
      "https://near.example.org",
      "https://store.example.org/imgbuild",
      "file:///srv/repo/store",
      "file:///srv/store",
    ]);
  });

  it("asks the snapshots of the lock's date: the one that took its packages up, and the one before", () => {
    const { snapshots } = keepersFor({ spec: serverSpec(), lock }, {});
    expect(snapshots.debian).toEqual([
      "http://snapshot.debian.org/archive/debian/20240601T120000Z",
      "http://snapshot.debian.org/archive/debian/20240601T000000Z",
    ]);
    expect(snapshots["debian-security"]).toEqual([]);
  });

  it("asks those of the lock's earlier date too, and few in all", () => {
    const dates = ["2024-06-01", "2024-05-01", "2024-04-01", "2024-03-01"].map(
      (day) => `${day}T00:00:00.000Z`,
    );
    const indices = dates.slice(0, 3).map((date) => ({ ...lock.indices[0]!, date }));
    const grown = { ...lock, indices, date: dates[3]! };
    const { snapshots } = keepersFor({ spec: serverSpec(), lock: grown }, {});
    expect(snapshots.debian).toHaveLength(6);
  });

  it("takes another archive of the past from the environment, or none", () => {
    const of = (IMGBUILD_SNAPSHOT: string) =>
      keepersFor({ spec: serverSpec(), lock }, { IMGBUILD_SNAPSHOT }).snapshots.debian;
    expect(of("http://127.0.0.1:8000/")).toContain("http://127.0.0.1:8000/debian/20240601T000000Z");
    expect(of("")).toBeUndefined();
  });

  it("knows where the logins of a store in a registry are, and gives another machine the store without them", () => {
    const url = "oci://registry.example.org:5000/team/kept";
    const env = { HOME: "/home/operator", XDG_RUNTIME_DIR: "/run/user/1000", IMGBUILD_SNAPSHOT: "" };
    const keepers = keepersFor({ spec: withUrls(`${url}/`), lock }, env);
    expect(keepers.logins).toEqual([
      "/run/user/1000/containers/auth.json",
      "/home/operator/.config/containers/auth.json",
      "/home/operator/.docker/config.json",
    ]);
    const elsewhere = { ...env, REGISTRY_AUTH_FILE: "/a", XDG_CONFIG_HOME: "/b", DOCKER_CONFIG: "/c" };
    expect(keepersFor({ spec: withUrls(url), lock }, elsewhere).logins).toEqual([
      ...["/a", "/run/user/1000/containers/auth.json", "/b/containers/auth.json", "/c/config.json"],
    ]);
    expect(remoteKeepers(keepers)).toEqual({ stores: [url], snapshots: {} });
    const named = serverSpec({ system: { stores: [{ url: `${url}/`, key, login: "registry" }] } });
    expect(remoteKeepers(keepersFor({ spec: named, lock }, env))).toEqual({
      ...{ stores: [url], snapshots: {} },
      loginSecrets: { [url]: "registry" },
    });
    const spec = withUrls("https://store.example.org");
    expect(keepersFor({ spec, lock }, env)).not.toHaveProperty("logins");
  });

  it("gives another machine what it can reach, and what is made beside a definition all of it", () => {
    const keepers = keepersFor({ spec: withUrls("https://store.example.org", "/srv/store"), lock }, {});
    expect(remoteKeepers(keepers).stores).toEqual(["https://store.example.org"]);
    const env = withStore({ IMGBUILD_STORE: "/mnt/own" }, "given");
    expect(env.IMGBUILD_STORE).toBe("given,/mnt/own");
    const base = { spec: serverSpec(), lock };
    expect(keepersFor(base, withStores(keepers, {})).stores).toEqual(keepers.stores);
    expect(withStores({ stores: [], snapshots: {} }, env)).toBe(env);
  });
});

it("a relative store is relative to nothing on a medium", () => {
  expect(storeUrl("store", undefined)).toBeUndefined();
  expect(storeUrl("/srv/store", undefined)).toBe("file:///srv/store");
});

it.each(["oci://registry.example.org/kept", "oci://127.0.0.1:5000/team/kept.2", "oci://[::1]:5000/kept"])(
  "a store at %j is accepted",
  (url) => {
    expect(serverSpec({ system: { stores: [{ url, key }] } }).system.stores).toEqual([{ url, key }]);
    expect(registryOf(url)?.url).toBe(url);
  },
);

it.each([
  ...["ftp://store.example.org", "https://user:password@store.example.org", "a store", ""],
  ...[
    "oci://registry.example.org",
    "oci://registry.example.org/Kept",
    "oci://user:pw@registry.example.org/kept",
  ],
  ...["oci://registry.example.org/kept:tag", "oci://registry.example.org/../kept"],
])("a store at %j is refused", (url) => {
  expect(() => Spec.parse({ hostname: "web", system: { stores: [{ url, key }] } })).toThrow(
    /store|password|directory/,
  );
});
