import { z } from "zod";
import { Line, UnitName, webUrl } from "./words.ts";

/** A host by name or address; brackets are left out. */
const ServerAddress = z.string().regex(/^[A-Za-z0-9.:_-]{1,253}$/, "a host name or an address");
const within = { withinSeconds: z.int().min(1).max(600).default(60) };

export const Health = z.discriminatedUnion("type", [
  /** The unit is active. */
  z.strictObject({ type: z.literal("unit"), unit: UnitName, ...within }),
  /** Something accepts TCP connections on that port of localhost. */
  z.strictObject({ type: z.literal("port"), port: z.int().min(1).max(65535), ...within }),
  /** argv exits 0 on the new system, as root. */
  z.strictObject({ type: z.literal("command"), argv: z.array(z.string()).min(1), ...within }),
  /** A web server answers GET, asked on the new system. */
  z
    .strictObject({
      type: z.literal("http"),
      /** What is asked for. */
      url: webUrl(/^https?$/),
      /** Where the connection goes; by its name the URL may lead to the server that is in service now. */
      address: ServerAddress.default("localhost"),
      /** Any of these is right. */
      status: z.array(z.int().min(100).max(599)).min(1).default([200]),
      /** A text in what it answers. */
      contains: z.string().min(1).optional(),
      /** What must hold of the server's certificate. */
      certificate: z
        .strictObject({
          /** By an authority that the new system trusts, for the URL's host. */
          trusted: z.literal(true).optional(),
          /** Its fingerprint, as `openssl x509 -fingerprint -sha256` prints it. */
          sha256: z
            .string()
            .regex(/^[0-9A-F]{2}(:[0-9A-F]{2}){31}$/, "32 bytes as AA:BB:…")
            .optional(),
          /** It is valid for so many days more. */
          days: z.int().min(1).max(3650).optional(),
        })
        .optional(),
      ...within,
    })
    .refine(
      ({ url, certificate }) => certificate === undefined || url.startsWith("https:"),
      "needs a `url` of https, as it has a `certificate`",
    ),
  /** A name server answers, asked on the new system. */
  z.strictObject({
    type: z.literal("dns"),
    /** The whole name: no search domain is added. */
    name: z
      .string()
      .regex(
        /^(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$/,
        'a name such as "www.example.org"',
      ),
    /** The kind of record. */
    record: z.enum(["A", "AAAA", "CNAME", "MX", "NS", "TXT"]).default("A"),
    /** One of the answers: an address, a name, "10 mail.example.org" of MX, the text of TXT. */
    answer: Line.min(1).optional(),
    /** By default the first of /etc/resolv.conf. */
    server: ServerAddress.optional(),
    ...within,
  }),
  /** By then no unit has failed. */
  z.strictObject({ type: z.literal("no-failed-units"), ...within }),
]);

export type HealthCheck = z.output<typeof Health>;
