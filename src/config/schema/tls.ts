import { z } from "zod";
import { isPrivateName } from "../../net/private-names.ts";
import { acme } from "./acme.ts";
import { duration, text } from "./common.ts";

/** A certificate with its key. In the config they are names of files; when it is loaded, their contents in PEM. */
export const keypair = z
  .strictObject({
    certificate: text.meta({
      description: "PEM file of the certificate, with those between it and the authority after it.",
      examples: ["./client.pem"],
    }),
    key: text.meta({
      description: "PEM file of its private key, not encrypted.",
      examples: ["./client.key"],
    }),
  })
  .meta({ id: "Keypair", title: "Keypair" });

const minVersion = z.enum(["TLSv1.2", "TLSv1.3"]).default("TLSv1.2");

/** TLS to a server. */
export const externalTls = z
  .strictObject({
    trust: z
      .array(text)
      .default([])
      .meta({
        description:
          "PEM files of the authorities that may vouch for the server; they replace the public ones. Empty means the public ones.",
        examples: [["./ca.pem"]],
      }),
    certificateHost: text.optional().meta({
      description:
        "The name that the server's certificate must have, when it is another than the address's host.",
      examples: ["app.internal"],
    }),
    keypair: keypair
      .optional()
      .meta({ description: "The certificate that Sluice shows to the server, where it asks for one." }),
    minVersion: minVersion.meta({
      description: "The oldest version of TLS that is spoken to the server.",
      examples: ["TLSv1.3"],
    }),
  })
  .meta({ id: "ExternalTls", title: "TLS to a server" });

const served = z
  .strictObject({
    certificate: text.meta({
      description:
        "PEM file of the certificate, with those between it and the authority after it. Its names (subjectAltName) decide " +
        "for which clients it is chosen.",
      examples: ["./cert.pem"],
    }),
    key: text.meta({ description: "PEM file of its private key, not encrypted.", examples: ["./key.pem"] }),
    ocsp: text.optional().meta({
      description:
        "File with the authority's OCSP response for it (DER), which is stapled to handshakes. Whatever renews it only has " +
        "to write the file anew.",
      examples: ["./cert.ocsp"],
    }),
  })
  .meta({ id: "ServedCertificate", title: "Certificate of a socket" });

const clientCertificates = z
  .strictObject({
    trust: z
      .array(text)
      .min(1, { error: "expected at least one file of authorities" })
      .meta({
        description: "PEM files of the authorities that vouch for clients.",
        examples: [["./clients-ca.pem"]],
      }),
    required: z
      .boolean()
      .default(true)
      .meta({
        description:
          "Refuses clients without a certificate that one of them vouches for, in the handshake. With `false` they get " +
          "through, and `request.cf.tlsClientAuth` says what they have shown.",
        examples: [false],
      }),
  })
  .meta({ id: "ClientCertificates", title: "Certificates of clients" });

const developmentName = text.refine((name) => isPrivateName(name), {
  error:
    "expected a name under test, localhost, local, internal or home.arpa, or a private address: the development CA may " +
    "sign for no name of the internet",
});

/** TLS on a socket. */
export const socketTls = z
  .strictObject({
    certificates: z
      .array(served)
      .default([])
      .meta({
        description:
          "The one whose name the client asks for (SNI) is shown: the exact name before a wildcard, and the first where no " +
          "name fits. Files that change are read again, without a reload and without a connection lost.",
        examples: [[{ certificate: "./cert.pem", key: "./key.pem" }]],
      }),
    development: z
      .union([z.boolean(), z.array(developmentName)], { error: "expected true, or a list of names" })
      .default(false)
      .meta({
        description:
          "Shows certificates of a local authority that is made on first use, in place of files: for localhost, 127.0.0.1, " +
          "::1, this machine's name, whatever a client asks for under .localhost and .test, and further names if there is " +
          "a list. `sluice cert install` makes this machine trust it.",
        examples: [true, ["shop.internal", "192.168.1.5"]],
      }),
    acme: acme.optional().meta({
      description:
        "An authority such as Let's Encrypt issues the certificate, and Sluice renews it when a third of its time is left. " +
        "Until the first is there, clients are shown one that nobody vouches for.",
    }),
    clientCertificates: clientCertificates
      .optional()
      .meta({ description: "Asks clients for a certificate. Without it none is asked for." }),
    minVersion: minVersion.meta({
      description: "The oldest version of TLS that clients may speak.",
      examples: ["TLSv1.3"],
    }),
    ciphers: text.optional().meta({
      description:
        "Cipher suites in OpenSSL's words, in place of Node.js's, which follow what is held to be secure. A suite that is " +
        "not known is a config error.",
      examples: ["TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384"],
    }),
    handshakeTimeout: duration.prefault("10s").meta({
      description: "How long a client may take for the handshake.",
      examples: ["5s"],
    }),
  })
  .refine((tls) => (tls.certificates.length > 0 || tls.acme !== undefined) !== (tls.development !== false), {
    error:
      "expected certificates, as in certificates: [{ certificate: ./cert.pem, key: ./key.pem }], or acme, as in " +
      "acme: { domains: [example.com] }, or development: true in place of both",
  })
  .meta({
    id: "SocketTls",
    title: "TLS on a socket",
    description: "Makes the socket https.",
    examples: [{ certificates: [{ certificate: "./cert.pem", key: "./key.pem" }] }],
  });
export type SocketTlsConfig = z.output<typeof socketTls>;
