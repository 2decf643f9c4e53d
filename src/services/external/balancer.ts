import type { Balance, HashTrait } from "../../config/schema/upstream.ts";
import type { ClientFacts } from "../../http/exchange.ts";
import type { RequestHead } from "../../http/message.ts";
import { addressKey, clientKey } from "../middleware/client-key.ts";
import type { Endpoint } from "./endpoint.ts";

/** Who asks for an endpoint, as far as the choice may depend on it. */
export interface Asker {
  /** Null for a stream of bytes. */
  readonly request: RequestHead | null;
  readonly client: ClientFacts;
}

/** Chooses one of several endpoints. The list is never empty, and the same array for as long as it holds the same. */
export interface Balancer {
  choose(from: readonly Endpoint[], asker: Asker): Endpoint;
}

/** @param random a number from 0 up to 1 */
export function createBalancer(balance: Balance, random: () => number = Math.random): Balancer {
  switch (balance.kind) {
    case "roundRobin":
      return new RoundRobin();
    case "leastRequests":
      return new LeastRequests();
    case "random2":
      return new RandomTwo(random);
    case "hash":
      return new Rendezvous(balance.by);
  }
}

/**
 * Smooth weighted round robin: each endpoint gains its weight, the richest is chosen and pays what all have gained. With
 * weights 5, 1 and 1 the order is a a b a c a a, and not a a a a a b c.
 */
class RoundRobin implements Balancer {
  choose(from: readonly Endpoint[]): Endpoint {
    let best = from[0] as Endpoint;
    if (from.length === 1) return best;
    let sum = 0;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < from.length; i++) {
      const each = from[i] as Endpoint;
      const { share } = each;
      sum += share;
      each.credit += share;
      // Without a share there is no turn, whatever is left of an old one.
      if (share > 0 && each.credit > most) {
        most = each.credit;
        best = each;
      }
    }
    best.credit -= sum;
    return best;
  }
}

/** The fewest requests under way for the weight; among equals it goes on from where the last choice was. */
class LeastRequests implements Balancer {
  #next = 0;

  choose(from: readonly Endpoint[]): Endpoint {
    const { length } = from;
    let best = from[0] as Endpoint;
    let least = Number.POSITIVE_INFINITY;
    let at = 0;
    for (let i = 0; i < length; i++) {
      const place = (this.#next + i) % length;
      const each = from[place] as Endpoint;
      const load = loadOf(each);
      if (load < least) {
        least = load;
        best = each;
        at = place;
      }
    }
    this.#next = (at + 1) % length;
    return best;
  }
}

/** The better of two drawn at random: nearly as even as looking at all, and no herd runs to the one that looked idle. */
class RandomTwo implements Balancer {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  choose(from: readonly Endpoint[]): Endpoint {
    const { length } = from;
    const first = Math.floor(this.#random() * length);
    if (length === 1) return from[0] as Endpoint;
    let second = Math.floor(this.#random() * (length - 1));
    if (second >= first) second++;
    const a = from[first] as Endpoint;
    const b = from[second] as Endpoint;
    return loadOf(b) < loadOf(a) ? b : a;
  }
}

/**
 * Weighted rendezvous hashing: each endpoint draws a number from the key and its own address, and the highest for its
 * weight wins. Every shard and every proxy with the same addresses chooses alike, and when an endpoint goes, only those
 * keys move that it had.
 */
class Rendezvous implements Balancer {
  readonly #by: HashTrait;

  constructor(by: HashTrait) {
    this.#by = by;
  }

  choose(from: readonly Endpoint[], asker: Asker): Endpoint {
    const key = hashText(this.#keyOf(asker));
    let best = from[0] as Endpoint;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < from.length; i++) {
      const each = from[i] as Endpoint;
      if (each.weight === 0) continue;
      // Between 0 and 1, and neither of them.
      const draw = (mix(key ^ each.seed) + 0.5) / 2 ** 32;
      const score = -each.weight / Math.log(draw);
      if (score > most) {
        most = score;
        best = each;
      }
    }
    return best;
  }

  #keyOf({ request, client }: Asker): string {
    if (request === null) return addressKey(client.address);
    const by = this.#by;
    if (by !== "path") return clientKey(by, request, client);
    const { target } = request;
    const query = target.indexOf("?");
    return query < 0 ? target : target.slice(0, query);
  }
}

/** Requests under way for the weight; one without a share comes last. */
function loadOf(endpoint: Endpoint): number {
  const { share } = endpoint;
  return share > 0 ? (endpoint.active + 1) / share : Number.MAX_VALUE;
}

/** FNV-1a over the characters, mixed. */
export function hashText(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return mix(value);
}

/** Ends as MurmurHash3 does, so that what differs little lies far apart. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
