/** The codings that are made here, by their names in Content-Encoding (RFC 1952, RFC 7932, RFC 8878). */
export const codings = ["zstd", "br", "gzip"] as const;
export type Coding = (typeof codings)[number];

/** A client that means well names a handful. */
const maxItems = 32;

/**
 * The coding that the client likes best (RFC 9110 §12.5.3); of several that it likes as well, the first of `offered`. Null
 * when it likes none of them, or likes to have none at all better. `x-gzip` is gzip (§8.4.1.3).
 */
export function chooseCoding(fields: readonly string[], offered: readonly Coding[]): Coding | null {
  let any = 0;
  let identity: number | null = null;
  const named = new Map<string, number>();
  for (const item of fields.join(",").toLowerCase().split(",", maxItems)) {
    const [name = "", ...parameters] = item.split(";");
    const weight = weightOf(parameters);
    const coding = name.trim() === "x-gzip" ? "gzip" : name.trim();
    if (coding === "*") any = weight;
    else if (coding === "identity") identity = weight;
    else if (coding !== "") named.set(coding, weight);
  }
  let best: Coding | null = null;
  let weight = 0;
  for (const coding of offered) {
    const own = named.get(coding) ?? any;
    if (own > weight) {
      best = coding;
      weight = own;
    }
  }
  return identity !== null && identity > weight ? null : best;
}

/** RFC 9110 §12.4.2; what is no weight counts as 0: nobody gets what it may not be able to read. */
function weightOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const equals = parameter.indexOf("=");
    if (parameter.slice(0, equals).trim() !== "q") continue;
    const value = parameter.slice(equals + 1).trim();
    return /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(value) ? Number(value) : 0;
  }
  return 1;
}
