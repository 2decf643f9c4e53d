import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { TestContext } from "node:test";
import { connect } from "node:tls";
import { calculateJwkThumbprint, flattenedVerify, importJWK, type JWK } from "jose";
import { Authority } from "./authority.ts";
import { IssuingCa } from "./issuing-ca.ts";
import { TemporaryDirectory } from "./temporary.ts";

type Resource =
  | "directory"
  | "newNonce"
  | "newAccount"
  | "account"
  | "newOrder"
  | "order"
  | "authz"
  | "challenge"
  | "finalize"
  | "certificate";

/** What one request is answered in place of the truth. */
export interface Fault {
  readonly at: Resource;
  /** `hang`: nothing at all. `html`: 200 with something else than JSON. */
  readonly does?: "hang" | "html" | "close";
  readonly status?: number;
  /** Of the problem document, without its prefix. */
  readonly type?: string;
  readonly retryAfter?: string;
}

interface Account {
  readonly url: string;
  readonly jwk: JWK;
  contact: readonly string[];
}

interface Challenge {
  readonly url: string;
  readonly type: "http-01" | "tls-alpn-01";
  readonly token: string;
  status: "pending" | "valid" | "invalid";
  error?: object;
}

interface Authorization {
  readonly url: string;
  readonly name: string;
  readonly account: Account;
  readonly challenges: Challenge[];
}

interface Order {
  readonly url: string;
  readonly names: readonly string[];
  readonly authorizations: readonly Authorization[];
  /** Looks at it that still find it `processing`. */
  processing: number;
  state: "pending" | "processing" | "valid" | "invalid";
  certificate: string;
}

interface Signed {
  readonly payload: Record<string, unknown> | null;
  readonly jwk: JWK;
  readonly account: Account | null;
}

class Problem extends Error {
  readonly status: number;
  readonly type: string;

  constructor(status: number, type: string, detail: string) {
    super(detail);
    this.status = status;
    this.type = type;
  }
}

/** An ACME server (RFC 8555) that checks everything for real, and fails as it is told. */
export class AcmeServer {
  /** PEM file of the authority that vouches for the server itself. */
  readonly trust: string;
  /** The same, in PEM. */
  readonly trustPem: string;
  readonly ca: IssuingCa;
  readonly faults: Fault[] = [];
  /** Where it looks whether names are ours. */
  httpPort = 0;
  tlsPort = 0;
  /** Of certificates, in seconds. */
  lifetime = 3_600;
  /** Looks at a finalized order that still find it `processing`. */
  processing = 0;
  /** `other` issues for a key of its own, `short` leaves the last name out. */
  issues: "right" | "other" | "short" = "right";
  /** Every so many signed requests the nonce is called bad; 0 is never. */
  badNonceEvery = 3;
  /** In place of those that chance gives. */
  token: string | null = null;
  /** Authorizations that every order has beside those of its names. */
  surplus = 0;
  offers: readonly Challenge["type"][] = ["http-01", "tls-alpn-01"];
  /** Requests by resource, in the order in which they came, bad nonces included. */
  readonly seen: Resource[] = [];
  readonly certificates: string[] = [];
  port = 0;
  readonly #server: Server;
  readonly #nonces: Set<string> = new Set();
  readonly #accounts: Account[] = [];
  readonly #orders: Order[] = [];
  #signed = 0;
  #ids = 0;

  private constructor(test: TestContext) {
    const home = new TemporaryDirectory(test);
    const authority = new Authority("The ACME server's own");
    const { certificate, key } = authority.issue(["localhost", "127.0.0.1"]);
    this.trustPem = authority.certificate;
    this.trust = home.write("trust.pem", authority.certificate);
    this.ca = new IssuingCa(home);
    this.#server = createServer({ cert: certificate, key }, (incoming, response) => {
      void this.#answer(incoming, response);
    });
    test.after(() => this.stop());
  }

  static async start(test: TestContext): Promise<AcmeServer> {
    const server = new AcmeServer(test);
    await server.listen();
    return server;
  }

  /** On the same port as before, if it has listened before. */
  async listen(): Promise<void> {
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as { port: number }).port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  get directory(): string {
    return `https://127.0.0.1:${this.port}/directory`;
  }

  get contacts(): ReadonlyArray<readonly string[]> {
    return this.#accounts.map(({ contact }) => contact);
  }

  /** Orders that were taken. */
  get orders(): number {
    return this.#orders.length;
  }

  /** Of the first challenge of the last order. */
  get lastToken(): string {
    return this.#orders.at(-1)?.authorizations[0]?.challenges[0]?.token ?? "";
  }

  /** Forgets every account, as a test server does that was made anew. */
  forgetAccounts(): void {
    this.#accounts.length = 0;
  }

  count(resource: Resource): number {
    return this.seen.filter((each) => each === resource).length;
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    incoming.on("error", () => {});
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const url = `https://127.0.0.1:${this.port}${incoming.url}`;
    const resource = (incoming.url ?? "").split("/")[1] as Resource;
    this.seen.push(resource);
    const index = this.faults.findIndex(({ at }) => at === resource);
    const [fault] = index < 0 ? [] : this.faults.splice(index, 1);
    if (fault?.does === "hang") return;
    if (fault?.does === "close") {
      incoming.socket.destroy();
      return;
    }
    response.setHeader("replay-nonce", this.#nonce());
    if (fault?.does === "html") {
      response.writeHead(200, { "content-type": "text/html" }).end("<h1>It works!</h1>");
      return;
    }
    try {
      if (fault !== undefined) {
        if (fault.retryAfter !== undefined) response.setHeader("retry-after", fault.retryAfter);
        throw new Problem(fault.status ?? 500, fault.type ?? "serverInternal", "as the test wants it");
      }
      await this.#serve(resource, url, Buffer.concat(chunks).toString(), response);
    } catch (error) {
      const { status, type, message } =
        error instanceof Problem ? error : { status: 500, type: "serverInternal", message: String(error) };
      response.writeHead(status, { "content-type": "application/problem+json" });
      response.end(JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail: message }));
    }
  }

  async #serve(resource: Resource, url: string, body: string, response: ServerResponse): Promise<void> {
    const at = (name: string) => `https://127.0.0.1:${this.port}/${name}`;
    if (resource === "directory") {
      const names = ["newNonce", "newAccount", "newOrder"];
      send(response, 200, Object.fromEntries(names.map((name) => [name, at(name)])));
      return;
    }
    if (resource === "newNonce") {
      response.writeHead(200).end();
      return;
    }
    const signed = await this.#verify(url, body, resource === "newAccount");
    if (resource === "newAccount") {
      await this.#newAccount(signed, response);
      return;
    }
    const { account } = signed;
    if (account === null) throw new Problem(400, "accountDoesNotExist", "no such account");
    switch (resource) {
      case "account":
        if (signed.payload !== null) account.contact = texts(signed.payload.contact);
        send(response, 200, { status: "valid", contact: account.contact });
        return;
      case "newOrder":
        this.#newOrder(account, signed, response);
        return;
      case "order":
        this.#sendOrder(find(this.#orders, url), response);
        return;
      case "authz":
        send(response, 200, authorizationOf(find(this.#authorizations, url)));
        return;
      case "challenge":
        this.#challenge(url, response);
        return;
      case "finalize":
        this.#finalize(url, signed, response);
        return;
      case "certificate": {
        const order = this.#orders.find((each) => each.url === url.replace("/certificate/", "/order/"));
        response.writeHead(200, { "content-type": "application/pem-certificate-chain" });
        response.end(order?.certificate);
        return;
      }
      default:
        throw new Problem(404, "malformed", "no such resource");
    }
  }

  get #authorizations(): Authorization[] {
    return this.#orders.flatMap(({ authorizations }) => authorizations);
  }

  #nonce(): string {
    const nonce = randomBytes(16).toString("base64url");
    this.#nonces.add(nonce);
    return nonce;
  }

  /** RFC 8555 §6.2 to §6.5. */
  async #verify(url: string, body: string, isNew: boolean): Promise<Signed> {
    const jws = JSON.parse(body) as { protected: string; payload: string; signature: string };
    const header = JSON.parse(Buffer.from(jws.protected, "base64url").toString()) as {
      nonce?: string;
      url?: string;
      kid?: string;
      jwk?: JWK;
    };
    if (header.url !== url) throw new Problem(401, "unauthorized", "it is signed for another URL");
    if (!this.#nonces.delete(header.nonce ?? "")) throw new Problem(400, "badNonce", "no such nonce");
    if (this.badNonceEvery > 0 && ++this.#signed % this.badNonceEvery === 0) {
      throw new Problem(400, "badNonce", "the test does not like it");
    }
    if (isNew === (header.kid !== undefined)) throw new Problem(400, "malformed", "kid or jwk");
    const account = this.#accounts.find((each) => each.url === header.kid) ?? null;
    const jwk = header.jwk ?? account?.jwk;
    if (jwk === undefined) throw new Problem(400, "accountDoesNotExist", "no such account");
    const { payload } = await flattenedVerify(jws, await importJWK(jwk, "ES256"));
    const text = Buffer.from(payload).toString();
    return { payload: text === "" ? null : (JSON.parse(text) as Record<string, unknown>), jwk, account };
  }

  async #newAccount({ payload, jwk }: Signed, response: ServerResponse): Promise<void> {
    if (payload?.termsOfServiceAgreed !== true)
      throw new Problem(403, "userActionRequired", "agree to the terms");
    const print = await calculateJwkThumbprint(jwk);
    let account = this.#accounts.find(({ url }) => url.endsWith(print));
    const status = account === undefined ? 201 : 200;
    if (account === undefined) {
      account = {
        url: `https://127.0.0.1:${this.port}/account/${print}`,
        jwk,
        contact: texts(payload.contact),
      };
      this.#accounts.push(account);
    }
    response.setHeader("location", account.url);
    send(response, status, { status: "valid", contact: account.contact });
  }

  #newOrder(account: Account, { payload }: Signed, response: ServerResponse): void {
    const identifiers = payload?.identifiers as Array<{ type: string; value: string }>;
    const names = identifiers.map(({ value }) => value);
    const at = (kind: string) => `https://127.0.0.1:${this.port}/${kind}/${++this.#ids}`;
    const order: Order = {
      url: at("order"),
      names,
      authorizations: names.map((name) => ({
        url: at("authz"),
        name,
        account,
        challenges: this.offers.map((type) => ({
          url: at("challenge"),
          type,
          token: this.token ?? randomBytes(24).toString("base64url"),
          status: "pending",
        })),
      })),
      processing: this.processing,
      state: "pending",
      certificate: "",
    };
    this.#orders.push(order);
    response.setHeader("location", order.url);
    this.#sendOrder(order, response, 201);
  }

  #sendOrder(order: Order, response: ServerResponse, status = 200): void {
    if (order.state === "processing" && order.processing-- <= 0) order.state = "valid";
    const states = order.authorizations.map(stateOf);
    const ready = order.state === "pending" && states.every((state) => state === "valid");
    if (order.state === "processing") response.setHeader("retry-after", "1");
    send(response, status, {
      status: ready ? "ready" : states.includes("invalid") ? "invalid" : order.state,
      identifiers: order.names.map((value) => ({ type: "dns", value })),
      authorizations: [
        ...order.authorizations.map(({ url }) => url),
        ...Array.from({ length: this.surplus }, (_, index) => `${order.url}/${index}`),
      ],
      finalize: order.url.replace("/order/", "/finalize/"),
      ...(order.state === "valid" ? { certificate: order.url.replace("/order/", "/certificate/") } : {}),
    });
  }

  #challenge(url: string, response: ServerResponse): void {
    const authorization = this.#authorizations.find(({ challenges }) =>
      challenges.some((each) => each.url === url),
    );
    if (authorization === undefined) throw new Problem(404, "malformed", "no such challenge");
    const challenge = find(authorization.challenges, url);
    void this.#validate(authorization, challenge);
    send(response, 200, challenge);
  }

  async #validate({ name, account }: Authorization, challenge: Challenge): Promise<void> {
    const expected = `${challenge.token}.${await calculateJwkThumbprint(account.jwk)}`;
    try {
      if (challenge.type === "http-01") await askHttp(this.httpPort, name, challenge.token, expected);
      else await askTls(this.tlsPort, name, expected);
      challenge.status = "valid";
    } catch (error) {
      challenge.status = "invalid";
      const detail = `127.0.0.1: ${error instanceof Error ? error.message : error}`;
      challenge.error = { type: "urn:ietf:params:acme:error:unauthorized", detail };
    }
  }

  #finalize(url: string, { payload }: Signed, response: ServerResponse): void {
    const order = find(this.#orders, url.replace("/finalize/", "/order/"));
    if (!order.authorizations.every((each) => stateOf(each) === "valid")) {
      throw new Problem(403, "orderNotReady", "not all names are proved");
    }
    const csr = Buffer.from(String(payload?.csr), "base64url");
    const asked = this.ca.namesIn(csr);
    if (asked.sort().join() !== [...order.names].sort().join()) {
      throw new Problem(400, "badCSR", `it asks for ${asked}`);
    }
    const names = this.issues === "short" ? order.names.slice(0, -1) : order.names;
    const request = this.issues === "other" ? this.ca.otherRequest() : csr;
    order.certificate = this.ca.issue(request, names, this.lifetime);
    this.certificates.push(order.certificate);
    order.state = "processing";
    this.#sendOrder(order, response);
  }
}

function authorizationOf(authorization: Authorization): object {
  const { name, challenges } = authorization;
  return { status: stateOf(authorization), identifier: { type: "dns", value: name }, challenges };
}

function stateOf({ challenges }: Authorization): "pending" | "valid" | "invalid" {
  if (challenges.some(({ status }) => status === "valid")) return "valid";
  return challenges.some(({ status }) => status === "invalid") ? "invalid" : "pending";
}

function find<T extends { readonly url: string }>(list: readonly T[], url: string): T {
  const found = list.find((each) => each.url === url);
  if (found === undefined) throw new Problem(404, "malformed", `no ${url}`);
  return found;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** RFC 8555 §8.3. */
async function askHttp(port: number, host: string, token: string, expected: string): Promise<void> {
  const path = `/.well-known/acme-challenge/${token}`;
  const sent = request({ host: "127.0.0.1", port, path, headers: { host }, agent: false });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response) text += chunk;
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
  if (text !== expected) throw new Error(`another key authorization: ${text.slice(0, 100)}`);
}

/** RFC 8737 §3. */
async function askTls(port: number, servername: string, expected: string): Promise<void> {
  const socket = connect({
    host: "127.0.0.1",
    port,
    servername,
    ALPNProtocols: ["acme-tls/1"],
    rejectUnauthorized: false,
    minVersion: "TLSv1.2",
  });
  try {
    await once(socket, "secureConnect");
    if (socket.alpnProtocol !== "acme-tls/1") throw new Error(`protocol ${socket.alpnProtocol}`);
    const certificate = socket.getPeerX509Certificate();
    if (certificate?.subjectAltName !== `DNS:${servername}`)
      throw new Error(`names ${certificate?.subjectAltName}`);
    const hash = createHash("sha256").update(expected).digest("hex");
    // The identifier 1.3.6.1.5.5.7.1.31, critical, and the hash as an OCTET STRING in one.
    if (!certificate.raw.toString("hex").includes(`06082b0601050507011f0101ff04220420${hash}`)) {
      throw new Error("no acmeIdentifier with the hash of the key authorization");
    }
  } finally {
    socket.destroy();
  }
}
