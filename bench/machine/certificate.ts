import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { Place } from "./place.ts";

let made: { readonly certificate: string; readonly key: string } | null = null;

/** Paths of PEM files: the certificate that all candidates show, its key, and the two in one file. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
  readonly both: string;
}

/** Puts the benchmark's certificate into a place: P-256 for 127.0.0.1, made once by openssl. */
export function certificateFiles(place: Place): CertificateFiles {
  made ??= make();
  return {
    certificate: place.write("certificate.pem", made.certificate),
    key: place.write("key.pem", made.key),
    both: place.write("both.pem", made.certificate + made.key),
  };
}

function make(): { certificate: string; key: string } {
  const place = new Place("certificate");
  const [certificate, key] = ["certificate.pem", "key.pem"].map((name) => `${place.path}/${name}`) as [
    string,
    string,
  ];
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=127.0.0.1";
  const name = ["-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", [...request.split(" "), ...name, "-keyout", key, "-out", certificate], {
    stdio: "ignore",
  });
  try {
    return { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
  } finally {
    place.remove();
  }
}
