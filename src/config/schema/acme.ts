import { z } from "zod";
import { text } from "./common.ts";

const label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const hostName = new RegExp(`^${label}(?:\\.${label})+$`);

const domain = text
  .refine((name) => !name.includes("*"), {
    error:
      "expected a name without *: certificates for wildcards need the challenge dns-01, which Sluice does not have",
    abort: true,
  })
  .refine((name) => name.length <= 253 && hostName.test(name) && !/\.\d+$/.test(name), {
    error: "expected the name of a host, such as www.example.com",
  })
  .toLowerCase();

const httpsUrl = text.refine((value) => URL.canParse(value) && new URL(value).protocol === "https:", {
  error: "expected a URL that begins with https://",
});

/** RFC 8555 §7.3.4: the authority gives a name for the key, and the key. */
const externalAccount = z
  .strictObject({
    keyId: text.meta({ description: "The key's name, as the authority gave it.", examples: ["kid-1"] }),
    key: text
      .regex(/^[A-Za-z0-9+/_-]{8,1024}={0,2}$/, { error: "expected a key in base64url" })
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the config
      .meta({ description: "The HMAC key, in base64url.", examples: ["${ACME_EAB_KEY}"] }),
  })
  .meta({ id: "ExternalAccount", title: "External account of an authority" });

/** Certificates that an authority issues by itself (RFC 8555). */
export const acme = z
  .strictObject({
    domains: z
      .array(domain)
      .min(1, { error: "expected at least one name" })
      .max(100, { error: "expected at most 100 names: an authority puts no more into a certificate" })
      .meta({
        description:
          "The names that the certificate is for, all in one. Each must lead to this proxy, or the authority refuses the " +
          "certificate as a whole.",
        examples: [["example.com", "www.example.com"]],
      }),
    email: z
      .email({ error: "expected an email address" })
      .optional()
      .meta({
        description: "Where the authority may write to about the account.",
        examples: ["ops@example.com"],
      }),
    directory: httpsUrl.default("https://acme-v02.api.letsencrypt.org/directory").meta({
      description:
        "The authority's directory: Let's Encrypt, unless another is named. Its staging one, for trying out, is " +
        "`https://acme-staging-v02.api.letsencrypt.org/directory`. By using an authority you agree to its terms.",
      examples: ["https://acme-staging-v02.api.letsencrypt.org/directory"],
    }),
    challenges: z
      .array(z.enum(["http-01", "tls-alpn-01"]))
      .min(1, { error: "expected at least one of http-01 and tls-alpn-01" })
      .default(["http-01", "tls-alpn-01"])
      .meta({
        description:
          "How the names are proved to be ours, in the order in which it is tried. http-01: the authority asks port 80 for a " +
          "file, which every socket without TLS answers; it is passed over where there is none. tls-alpn-01: it makes a " +
          "handshake at port 443, which every socket with TLS answers.",
        examples: [["tls-alpn-01"]],
      }),
    storage: text.optional().meta({
      description:
        "Directory for the account's key and the certificates, for its owner alone. Several proxies may share one. The " +
        "default is `acme` in Sluice's data directory: `SLUICE_DATA_DIR`, or `~/.local/share/sluice`.",
      examples: ["/var/lib/sluice/acme"],
    }),
    keyType: z
      .enum(["ecdsa", "rsa"])
      .default("ecdsa")
      .meta({
        description:
          "The key of the certificate: ECDSA on P-256, or RSA with 2048 bits for very old clients.",
        examples: ["rsa"],
      }),
    eab: externalAccount.optional().meta({
      description: "For an authority that issues only to accounts that it knows (external account binding).",
    }),
    trust: z
      .array(text)
      .default([])
      .meta({
        description:
          "PEM files of the authorities that vouch for the directory's own server, if it is a private one. Empty means the " +
          "public ones.",
        examples: [["./internal-ca.pem"]],
      }),
  })
  .meta({
    id: "Acme",
    title: "Certificates by ACME",
    description: "Has an authority issue the certificate, and renews it.",
    examples: [{ domains: ["example.com"], email: "ops@example.com" }],
  });
export type AcmeConfig = z.output<typeof acme>;
