interface LoginEnv {
  readonly JWT_SECRET: string;
}

interface Signer {
  readonly alg: "ES256" | "HS256";
  readonly kid: string;
  readonly key: CryptoKey;
}

const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const kid = crypto.randomUUID();
let keys: Promise<CryptoKeyPair> | undefined;

/** Made with the first request, and kept as long as the Worker's isolate. */
function keyPair(): Promise<CryptoKeyPair> {
  keys ??= crypto.subtle.generateKey(ecdsa, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
  return keys;
}

function base64url(bytes: Uint8Array<ArrayBuffer>): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

async function sign({ alg, kid, key }: Signer, claims: object): Promise<string> {
  const encoder = new TextEncoder();
  const parts = [{ alg, kid, typ: "JWT" }, claims].map((part) =>
    base64url(encoder.encode(JSON.stringify(part))),
  );
  const text = parts.join(".");
  const algorithm = alg === "ES256" ? ecdsa : "HMAC";
  const signature = await crypto.subtle.sign(algorithm, key, encoder.encode(text));
  return `${text}.${base64url(new Uint8Array(signature))}`;
}

/** A login as short as can be: whoever asks for a token gets one. */
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const now = Math.floor(Date.now() / 1000);
    const claims = { iat: now, exp: now + 300, sub: searchParams.get("user"), iss: "https://login.example" };
    const { privateKey, publicKey } = await keyPair();
    if (pathname === "/.well-known/jwks.json") {
      const jwk = await crypto.subtle.exportKey("jwk", publicKey);
      return Response.json(
        { keys: [{ ...jwk, kid, use: "sig" }] },
        { headers: { "cache-control": "max-age=60" } },
      );
    }
    if (pathname === "/token") {
      const scope = searchParams.get("scope") ?? "";
      return new Response(
        await sign({ alg: "ES256", kid, key: privateKey }, { ...claims, aud: "shop", scope }),
      );
    }
    if (pathname === "/internal-token") {
      const secret = new TextEncoder().encode(env.JWT_SECRET);
      const hmac = { name: "HMAC", hash: "SHA-256" };
      const key = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"]);
      return new Response(await sign({ alg: "HS256", kid: "shared", key }, { ...claims, aud: "internal" }));
    }
    return new Response("not found\n", { status: 404 });
  },
} satisfies ExportedHandler<LoginEnv>;
