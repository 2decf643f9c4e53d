import { z } from "zod";
import { text } from "./common.ts";

const networkRule =
  "CIDRs, single addresses, or `public` (the internet), `private` (private and local networks), `local` (this machine), " +
  "`network` (every network, but not this machine), `unix` and `unix-abstract`";

export const network = z
  .strictObject({
    allow: z
      .array(text)
      .default(["public"])
      .meta({
        description: `Addresses that may be reached: ${networkRule}. Names are resolved first and every address is checked.`,
        examples: [["public"], ["10.0.0.0/8"]],
      }),
    deny: z
      .array(text)
      .default([])
      .meta({
        description: "Addresses that may not be reached although `allow` has them, written in the same way.",
        examples: [["203.0.113.0/24"]],
      }),
    trust: z
      .array(text)
      .optional()
      .meta({
        description:
          "PEM files of the authorities that may vouch for servers; they replace the public ones. Without it, the public ones.",
        examples: [["./ca.pem"]],
      }),
  })
  .meta({
    id: "Network",
    title: "Network",
    description:
      "Goes where the request's URL says, if the address is allowed. The default keeps Workers off private networks, so " +
      "that a URL from a stranger cannot reach internal services (SSRF).",
    examples: [{ allow: ["public"], deny: ["203.0.113.0/24"] }],
  });
export type NetworkConfig = z.output<typeof network>;
