import { z } from "zod";
import { addressRange, duration } from "./common.ts";

const accept = z
  .strictObject({
    from: z
      .array(z.union([z.literal("unix"), addressRange], { error: 'expected an address, a CIDR or "unix"' }))
      .min(1, { error: "expected at least one address" })
      .meta({
        description:
          "The proxies and load balancers in front, as addresses and CIDRs; `unix` is whoever may connect to the socket's file. " +
          "Each of their connections must begin with a preamble. From all others none is taken: on a socket of HTTP or TLS it " +
          "is an error of their protocol, and a socket of byte streams lets nobody else in.",
        examples: [["10.0.0.0/8"], ["unix"]],
      }),
    timeout: duration.prefault("3s").meta({
      description: "How long they may take for the preamble.",
      examples: ["3s"],
    }),
  })
  .meta({ id: "ProxyProtocolAccept", title: "Accepting PROXY preambles" });

/** HAProxy's PROXY protocol on a socket. */
export const socketProxyProtocol = z.union([z.literal("accept"), accept], {
  error: "expected accept, or from with the addresses that are trusted",
});
export type SocketProxyProtocol = z.output<typeof socketProxyProtocol>;

const send = z
  .strictObject({
    version: z
      .union([z.literal(1), z.literal(2)], { error: "expected 1 or 2" })
      .default(2)
      .meta({ description: "1 is a line of text, 2 is binary. Both tell the addresses.", examples: [1] }),
    facts: z
      .array(z.enum(["authority", "ssl"]))
      .default([])
      .meta({
        description:
          "What version 2 tells besides: `authority` is the host that the client asks for, `ssl` whether it speaks TLS, with " +
          "version and cipher, and whether it has a certificate that was verified.",
        examples: [["authority", "ssl"]],
      }),
  })
  .meta({ id: "ProxyProtocolSend", title: "Sending PROXY preambles" });

/** HAProxy's PROXY protocol to a server. */
export const externalProxyProtocol = z.union([z.literal("send"), send], {
  error: "expected send, or version (1 or 2) and facts (authority, ssl)",
});
export type ExternalProxyProtocol = z.output<typeof externalProxyProtocol>;
