import { generateKeyPair } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import type * as Acme from "acme-client";
import { AcmeError } from "./acme-error.ts";
import type { ChallengeBoard, Proof } from "./challenge-board.ts";
import { checkIssued, type IssuedCertificate } from "./issued-certificate.ts";
import { type AcmeClient, AcmeSession, readProblem } from "./session.ts";
import { type AcmeSettings, nameSet } from "./settings.ts";
import type { AcmeStorage, StoredAccount } from "./storage.ts";

/** An order that is not done by then has failed. */
const orderMs = 300_000;
/** How long to wait between two looks at what the authority does, as long as it asks for nothing else. */
const firstLookMs = 250;
const longestLookMs = 5_000;
const longestWaitMs = 60_000;

/** An identifier with less than this must not stand in a CSR's common name (RFC 5280, ub-common-name). */
const longestCommonName = 64;

export type ChallengeType = AcmeSettings["challenges"][number];

/** What an order needs of its surroundings. */
export interface OrderContext {
  readonly storage: AcmeStorage;
  readonly board: ChallengeBoard;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  now(): number;
  /** An account was registered, or found. */
  onAccount(url: string): void;
}

const generate = promisify(generateKeyPair);

/** Gets one certificate from its authority (RFC 8555 §7.1): account, order, proofs, CSR, certificate. */
export class Order {
  readonly #settings: AcmeSettings;
  readonly #context: OrderContext;
  readonly #prefer: readonly ChallengeType[];
  readonly #session: AcmeSession;
  readonly #signal: AbortSignal;
  #proofs: Proof[] = [];

  /** @param prefer the kinds of challenge that may be taken, the best first */
  constructor(settings: AcmeSettings, prefer: readonly ChallengeType[], context: OrderContext) {
    this.#settings = settings;
    this.#context = context;
    this.#prefer = prefer;
    this.#signal = AbortSignal.any([context.signal, AbortSignal.timeout(orderMs)]);
    this.#session = new AcmeSession(settings.trust, this.#signal);
  }

  /** @throws AcmeError */
  async run(): Promise<IssuedCertificate> {
    try {
      return await this.#session.run((acme) => this.#run(acme));
    } catch (error) {
      if (this.#signal.aborted && !this.#context.signal.aborted) {
        throw new AcmeError(`cannot get a certificate: it took longer than ${orderMs / 1000} s`);
      }
      throw error;
    } finally {
      this.#context.board.remove(this.#proofs);
      this.#session.close();
    }
  }

  async #run(acme: AcmeClient): Promise<IssuedCertificate> {
    const client = await this.#client(acme);
    const names = nameSet(this.#settings);
    const identifiers = names.map((value) => ({ type: "dns", value }));
    const order = await client.createOrder({ identifiers });
    // One for each name (RFC 8555 §7.1.3): an authority could else have us ask it for anything.
    if (!Array.isArray(order.authorizations) || order.authorizations.length > names.length) {
      throw new Error("the order has no authorizations, or too many");
    }
    await this.#authorize(acme, client, order);
    const key = await this.#makeKey();
    const common = this.#settings.domains[0] ?? "";
    const [, csr] = await acme.crypto.createCsr(
      { altNames: names, ...(common.length <= longestCommonName ? { commonName: common } : {}) },
      key,
    );
    await this.#until(client, order, "ready");
    await client.finalizeOrder(order, csr);
    const done = await this.#until(client, order, "valid");
    if (typeof done.certificate !== "string") throw new Error("the order has no certificate");
    const issued = checkIssued(String(await client.getCertificate(done)), key, names);
    if (issued.notAfter <= this.#context.now()) {
      throw new Error(`cannot use the certificate: it ended on ${new Date(issued.notAfter).toISOString()}`);
    }
    return issued;
  }

  /** A client that speaks for our account, which is registered with the authority if it does not know it. */
  async #client(acme: AcmeClient): Promise<Acme.Client> {
    const { storage } = this.#context;
    let account = storage.account();
    if (account === null || account.url === null) account = await this.#register(acme, null);
    const client = this.#clientOf(acme, account);
    if (account.email !== (this.#settings.email ?? "") || account.eab !== (this.#settings.eab?.keyId ?? "")) {
      return this.#known(acme, account);
    }
    try {
      // POST-as-GET of the account: it may be gone.
      await client.updateAccount();
      return client;
    } catch (error) {
      if (this.#session.problemType !== "accountDoesNotExist") throw error;
      return this.#clientOf(acme, await this.#register(acme, account.url));
    }
  }

  /** What the authority knows of the account is brought up to date. */
  async #known(acme: AcmeClient, account: StoredAccount): Promise<Acme.Client> {
    const client = this.#clientOf(acme, account);
    await client.updateAccount({ contact: this.#contact() });
    this.#keep(account.key, client.getAccountUrl());
    return client;
  }

  /** @param gone where the authority does not know the account any more */
  async #register(acme: AcmeClient, gone: string | null): Promise<StoredAccount> {
    const { storage } = this.#context;
    let lock = storage.lockAccount();
    // Other orders begin at the same time when a proxy starts for the first time, and one account is enough.
    for (let look = 0; lock === null; look++) {
      await this.#pause(look);
      lock = storage.lockAccount();
    }
    try {
      const now = storage.account();
      if (now !== null && now.url !== null && now.url !== gone) return now;
      const key = now?.key ?? (await newKey("ecdsa"));
      const client = this.#clientOf(acme, { key, url: null });
      // The use of an authority is the agreement to its terms, as docs/acme.md says.
      await client.createAccount({ termsOfServiceAgreed: true, contact: this.#contact() });
      return this.#keep(key, client.getAccountUrl());
    } finally {
      lock.release();
    }
  }

  #clientOf(acme: AcmeClient, { key, url }: Pick<StoredAccount, "key" | "url">): Acme.Client {
    const { directory, eab } = this.#settings;
    return new acme.Client({
      directoryUrl: directory,
      accountKey: key,
      ...(url === null ? {} : { accountUrl: url }),
      ...(eab === undefined ? {} : { externalAccountBinding: { kid: eab.keyId, hmacKey: eab.key } }),
    });
  }

  #keep(key: string, url: string): StoredAccount {
    const { email = "", eab } = this.#settings;
    const account = { key, url, email, eab: eab?.keyId ?? "" };
    this.#context.storage.keepAccount(account);
    this.#context.onAccount(url);
    return account;
  }

  #contact(): string[] {
    return this.#settings.email === undefined ? [] : [`mailto:${this.#settings.email}`];
  }

  /** Proves each name that the authority does not hold to be ours already. */
  async #authorize(acme: AcmeClient, client: Acme.Client, order: Acme.Order): Promise<void> {
    const open = (await client.getAuthorizations(order)).filter(({ status }) => status !== "valid");
    const challenges: Array<ReturnType<typeof this.choose>> = [];
    for (const authorization of open) {
      const challenge = this.choose(authorization);
      challenges.push(challenge);
      const answer = await client.getChallengeKeyAuthorization(challenge);
      this.#proofs.push(await this.#proof(acme, authorization, challenge, answer));
    }
    if (challenges.length === 0) return;
    await this.#context.board.add(this.#proofs);
    for (const challenge of challenges) await client.completeChallenge(challenge);
    for (let look = 0; ; look++) {
      const states = await client.getAuthorizations(order);
      for (const state of states) refuseFailed(state);
      if (states.every(({ status }) => status === "valid")) break;
      await this.#pause(look);
    }
    this.#context.board.remove(this.#proofs);
  }

  /** The first kind that we prefer and the authority offers. */
  choose({ identifier, challenges }: Acme.Authorization): Acme.Authorization["challenges"][number] {
    const offered = Array.isArray(challenges) ? challenges : [];
    for (const type of this.#prefer) {
      const found = offered.find(
        (challenge) => challenge.type === type && typeof challenge.token === "string",
      );
      if (found !== undefined) return found;
    }
    throw new AcmeError(
      `cannot prove that ${identifier.value} is ours: the authority takes no ${this.#prefer.join(" or ")}`,
    );
  }

  async #proof(
    acme: AcmeClient,
    authorization: Acme.Authorization,
    { type, token }: Acme.Authorization["challenges"][number],
    answer: string,
  ): Promise<Proof> {
    if (type === "http-01") {
      // It becomes part of a path that strangers ask for (RFC 8555 §8.3).
      if (!/^[A-Za-z0-9_-]{1,512}$/.test(token)) throw new Error("its token is not in base64url");
      return { type, token, answer };
    }
    const name = authorization.identifier.value.toLowerCase();
    if (!this.#settings.domains.includes(name)) throw new Error("it asks for a name that was not ordered");
    // With TLS 1.2, OpenSSL shows no ECDSA certificate whose key usage lacks signatures, as that of acme-client does.
    const [key, certificate] = await acme.crypto.createAlpnCertificate(
      authorization,
      answer,
      await newKey("rsa"),
    );
    return {
      type: "tls-alpn-01",
      name,
      keypair: { certificate: String(certificate), key: String(key) },
    };
  }

  /** Looks at the order until it has come so far. */
  async #until(client: Acme.Client, order: Acme.Order, target: "ready" | "valid"): Promise<Acme.Order> {
    for (let look = 0; ; look++) {
      const now = await client.getOrder(order);
      if (now.status === "valid" || now.status === target) return now;
      if (now.status === "invalid") {
        const problem = readProblem(now.error) ?? { type: "", detail: "the order is invalid" };
        throw new AcmeError(`cannot get a certificate: ${problem.detail}`, { type: problem.type });
      }
      if (now.status !== "pending" && now.status !== "processing" && now.status !== "ready") {
        throw new Error(`an order with the status ${JSON.stringify(now.status)}`);
      }
      await this.#pause(look);
    }
  }

  #pause(look: number): Promise<void> {
    const asked = Math.min(this.#session.retryAfterMs, longestWaitMs);
    const ms = asked > 0 ? asked : Math.min(firstLookMs * 2 ** look, longestLookMs);
    return wait(ms, undefined, { signal: this.#signal });
  }

  #makeKey(): Promise<string> {
    return newKey(this.#settings.keyType);
  }
}

function refuseFailed({ status, identifier, challenges }: Acme.Authorization): void {
  if (status === "valid" || status === "pending") return;
  const failed = challenges.find((challenge) => challenge.status === "invalid");
  const problem = readProblem(failed?.error);
  const reason = problem === null ? `the authorization is ${status}` : `${problem.type}: ${problem.detail}`;
  throw new AcmeError(
    `cannot prove that ${identifier.value} is ours by ${failed?.type ?? "any challenge"}: ${reason}`,
    {
      type: problem?.type ?? "",
    },
  );
}

async function newKey(type: AcmeSettings["keyType"]): Promise<string> {
  const { privateKey } =
    type === "rsa"
      ? await generate("rsa", { modulusLength: 2048 })
      : await generate("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}
