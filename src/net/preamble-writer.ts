import type { ClientFacts } from "../http/exchange.ts";
import { parseIp } from "./cidr.ts";
import { formatIp, ipBytes } from "./ip-text.ts";
import { signature } from "./proxy-preamble.ts";

/** Facts beside the addresses that version 2 can tell. */
export type PreambleFact = "authority" | "ssl";

const authorityType = 0x02;
const sslType = 0x20;
const sslVersionType = 0x21;
const sslCipherType = 0x23;
/** The client speaks TLS; it has shown a certificate on this connection (HAProxy's proxy-protocol.txt §2.2.5). */
const clientSsl = 0x01;
const clientCertificate = 0x02;

const unspecified = parseIp("0.0.0.0") as NonNullable<ReturnType<typeof parseIp>>;
/** A connection of our own, or one whose client has no address. */
const local = Buffer.concat([signature, Buffer.from([0x20, 0, 0, 0])]);
const unknown = Buffer.from("PROXY UNKNOWN\r\n", "latin1");

/** Writes the preamble of the PROXY protocol by which a server is told of the client of a connection. */
export class PreambleWriter {
  readonly #version: 1 | 2;
  readonly #facts: readonly PreambleFact[];

  constructor(version: 1 | 2, facts: readonly PreambleFact[]) {
    this.#version = version;
    this.#facts = facts;
  }

  /** @param client null for a connection that no client has led to */
  of(client: ClientFacts | null): Buffer {
    const from = client === null ? null : parseIp(client.address);
    if (client === null || from === null) return this.#version === 1 ? unknown : local;
    const to = parseIp(client.localAddress ?? "") ?? unspecified;
    const { port, localPort = 0 } = client;
    const isFour = from.family === 4 && to.family === 4;
    // Addresses of both families in one preamble are written as IPv6, the IPv4 one in its mapped form.
    if (this.#version === 1) {
      const texts = [from, to].map((ip) =>
        isFour || ip.family === 6 ? formatIp(ip) : `::ffff:${formatIp(ip)}`,
      );
      return Buffer.from(
        `PROXY ${isFour ? "TCP4" : "TCP6"} ${texts.join(" ")} ${port} ${localPort}\r\n`,
        "latin1",
      );
    }
    const ports = Buffer.alloc(4);
    ports.writeUInt16BE(port, 0);
    ports.writeUInt16BE(localPort, 2);
    const addresses = [from, to].map((ip) => ipBytes(ip).subarray(isFour ? 12 : 0));
    const rest = Buffer.concat([...addresses, ports, ...this.#tlvs(client)]);
    const head = Buffer.from([0x21, isFour ? 0x11 : 0x21, rest.length >> 8, rest.length & 255]);
    return Buffer.concat([signature, head, rest]);
  }

  #tlvs(client: ClientFacts): Buffer[] {
    const { tls } = client;
    const host = hostOf(client.host ?? "");
    const tlvs: Buffer[] = [];
    if (this.#facts.includes("authority") && host !== "") {
      tlvs.push(tlv(authorityType, Buffer.from(host.slice(0, 255), "latin1")));
    }
    if (this.#facts.includes("ssl") && tls !== null && tls !== undefined) {
      const isVerified = tls.clientCertificate !== "";
      tlvs.push(
        tlv(
          sslType,
          Buffer.from([clientSsl | (isVerified ? clientCertificate : 0), 0, 0, 0, isVerified ? 0 : 1]),
          tlv(sslVersionType, Buffer.from(tls.version, "latin1")),
          tlv(sslCipherType, Buffer.from(tls.cipher, "latin1")),
        ),
      );
    }
    return tlvs;
  }
}

/** An authority without its port. */
function hostOf(authority: string): string {
  const end = authority.lastIndexOf(":");
  return end === -1 || authority.endsWith("]") ? authority : authority.slice(0, end);
}

function tlv(type: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 255]), value]);
}
