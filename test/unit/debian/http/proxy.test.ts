import { describe, expect, it } from "vitest";
import { proxiesOf, proxyFor } from "../../../../src/debian/http/proxy.ts";
import { Fail } from "../../../../src/util/fail.ts";

const proxies = { http: "http://proxy.example.org:3128", https: "http://secure.example.org:3129" };
const through = (url: string, except?: string) => proxyFor(new URL(url), { ...proxies, except })?.host;

describe("proxyFor", () => {
  it("takes the proxy of the URL's scheme", () => {
    expect(through("http://mirror.example.org/debian")).toBe("proxy.example.org:3128");
    expect(through("https://mirror.example.org/debian")).toBe("secure.example.org:3129");
    expect(through("file:///srv/debian")).toBeUndefined();
    expect(proxyFor(new URL("http://mirror.example.org"), {})).toBeUndefined();
    expect(proxyFor(new URL("http://mirror.example.org"), { http: "" })).toBeUndefined();
    expect(proxyFor(new URL("http://mirror.example.org"), { http: "proxy:8080" })?.host).toBe("proxy:8080");
  });

  it.each([
    ["mirror.example.org", true],
    ["example.org", true],
    [".example.org", true],
    ["*.example.org", true],
    ["MIRROR.example.org", true],
    ["other.example.org, mirror.example.org", true],
    ["other.example.org mirror.example.org:80", true],
    ["*", true],
    ["mirror.example.org:8080", false],
    ["ror.example.org", false],
    ["example", false],
    ["", false],
    [",", false],
  ])("with no_proxy=%j reaches the host directly: %s", (except, direct) => {
    expect(through("http://mirror.example.org/debian", except) === undefined).toBe(direct);
  });

  it("knows addresses among the exceptions", () => {
    expect(through("http://192.0.2.1:8080/", "192.0.2.1")).toBeUndefined();
    expect(through("http://192.0.2.1:8080/", "192.0.2.1:80")).toBe("proxy.example.org:3128");
    expect(through("http://[2001:db8::1]/", "2001:db8::1")).toBeUndefined();
    expect(through("http://[2001:db8::1]/", "2001:db8::2")).toBe("proxy.example.org:3128");
  });

  it.each(["socks5://proxy.example.org", "https://proxy.example.org", "http://", "::"])(
    "refuses the proxy %j",
    (http) => {
      expect(() => proxyFor(new URL("http://mirror.example.org"), { http })).toThrow(Fail);
    },
  );
});

describe("proxiesOf", () => {
  it("reads the environment as curl and apt do", () => {
    expect(
      proxiesOf({ http_proxy: "a", HTTPS_PROXY: "b", NO_PROXY: "c", HTTP_PROXY: "from a request" }),
    ).toEqual({
      http: "a",
      https: "b",
      except: "c",
    });
    expect(proxiesOf({ all_proxy: "a", https_proxy: "b" })).toEqual({
      http: "a",
      https: "b",
      except: undefined,
    });
    expect(proxiesOf({})).toEqual({ http: undefined, https: undefined, except: undefined });
  });
});
