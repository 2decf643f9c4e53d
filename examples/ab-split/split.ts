type Variant = "stable" | "canary";

interface Env {
  readonly STABLE: Fetcher;
  readonly CANARY: Fetcher;
  readonly PERCENT: string;
}

const month = 30 * 24 * 60 * 60;

export default {
  async fetch(request, env) {
    const known = variantOf(request.headers.get("cookie") ?? "");
    const variant = known ?? draw(Number(env.PERCENT));
    const answer = await (variant === "canary" ? env.CANARY : env.STABLE).fetch(request);
    const response = new Response(answer.body, answer);
    // A shared cache would hand one visitor's version to all others.
    response.headers.append("vary", "cookie");
    if (known === null) {
      const cookie = `variant=${variant}; Path=/; Max-Age=${month}; HttpOnly; SameSite=Lax`;
      response.headers.append("set-cookie", cookie);
    }
    return response;
  },
} satisfies ExportedHandler<Env>;

/** What an earlier visit has drawn, or null. */
function variantOf(cookies: string): Variant | null {
  for (const pair of cookies.split(";")) {
    const [name, value] = pair.trim().split("=");
    if (name === "variant" && (value === "stable" || value === "canary")) return value;
  }
  return null;
}

function draw(percent: number): Variant {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
  return (number / 2 ** 32) * 100 < percent ? "canary" : "stable";
}
