import type { ExternalConfig } from "../../config/schema/external.ts";
import type { ClientFacts } from "../../http/exchange.ts";
import { forwardedNode, mayTellForwarding } from "../../http/forwarded-fields.ts";
import type { RequestHead } from "../../http/message.ts";

/**
 * Tells a server who the client is, in X-Forwarded-* or Forwarded (RFC 7239). No socket lets such headers of a client
 * through, so those that a request has were set by a Worker or by the config on the way here, and stay.
 */
export class Forwarding {
  readonly #x: boolean;
  readonly #standard: boolean;
  readonly #certificateHeader: string | null;

  constructor(config: ExternalConfig["http"]) {
    const { style, forwarded, clientCertificateHeader } = config;
    const isHost = style === "host";
    this.#x = isHost && (forwarded === "x-forwarded" || forwarded === "both");
    this.#standard = isHost && (forwarded === "forwarded" || forwarded === "both");
    this.#certificateHeader = clientCertificateHeader ?? null;
  }

  apply(request: RequestHead, client: ClientFacts): void {
    const { headers } = request;
    if (this.#certificateHeader !== null) {
      // Whatever a client wrote there would be taken for verified.
      headers.delete(this.#certificateHeader);
      const certificate = client.tls?.clientCertificate ?? "";
      if (certificate !== "") headers.append(this.#certificateHeader, certificate);
    }
    if (client.address === "") return;
    const host = client.host ?? "";
    const hasOwn = mayTellForwarding(headers.text);
    if (this.#x) {
      const chain =
        client.hops === undefined || client.hops === ""
          ? client.address
          : `${client.address}, ${client.hops}`;
      const proto = client.secure ? "https" : "http";
      if (!hasOwn) {
        headers.text +=
          host === ""
            ? `X-Forwarded-For: ${chain}\r\nX-Forwarded-Proto: ${proto}\r\n`
            : `X-Forwarded-For: ${chain}\r\nX-Forwarded-Proto: ${proto}\r\nX-Forwarded-Host: ${host}\r\n`;
      } else {
        if (!headers.has("x-forwarded-for")) headers.append("X-Forwarded-For", chain);
        if (!headers.has("x-forwarded-proto")) headers.append("X-Forwarded-Proto", proto);
        if (host !== "" && !headers.has("x-forwarded-host")) headers.append("X-Forwarded-Host", host);
      }
    }
    if (this.#standard && !(hasOwn && headers.has("forwarded"))) {
      headers.append("Forwarded", forwardedValue(client, host));
    }
  }
}

function forwardedValue(client: ClientFacts, host: string): string {
  let text = `for=${forwardedNode(client.address)};proto=${client.secure ? "https" : "http"}`;
  if (host !== "") text += `;host="${host}"`;
  for (const hop of client.hops === undefined || client.hops === "" ? [] : client.hops.split(", ")) {
    text += `, for=${forwardedNode(hop)}`;
  }
  return text;
}
