import { z } from "zod";
import { text } from "./common.ts";

/** Where names and passwords come from: the fields of everything that asks for a user and password. */
export const userSource = {
  users: z
    .record(
      text.regex(/^[^:\p{Cc}]*$/u, { error: "expected a user name without a colon or control characters" }),
      text,
    )
    .optional()
    .meta({
      description:
        "User names, each with a hash `$scrypt$ln=14,r=8,p=1$salt$hash` or `$argon2id$v=19$m=19456,t=2,p=1$salt$hash` (Node.js " +
        "24.7 or later), or with the password itself, which belongs into a variable of the environment.",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
      examples: [{ ada: "${ADA_PASSWORD}" }],
    }),
  usersFile: text.optional().meta({
    description:
      "A file with more of them: a line `name:hash` each, with hashes as above, never passwords; lines that begin with `#` " +
      "mean nothing. It is read again when it changes. A name that stands in `users` too has the password from there.",
    examples: ["./users.txt"],
  }),
};
