import type { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import type { ClientFacts } from "../../http/exchange.ts";
import type { HeaderBlock } from "../../http/header-block.ts";
import type { GuestRpc } from "./guest-rpc.ts";
import type { IncomingCall } from "./incoming-call.ts";

/** Whose a thing is that has to do with calls. */
export interface Tenure {
  /** The exchange that it belongs to, or 0 when that is not known. */
  readonly owner: number;
  /** The youngest exchange when it came: what has no known owner goes when all up to this one are done. */
  readonly epoch: number;
}

/** An object of one guest that others can call. */
export class RpcExport implements Tenure {
  readonly home: GuestRpc;
  readonly id: number;
  readonly owner: number;
  readonly epoch: number;
  readonly imports: Set<RpcImport> = new Set();

  constructor(home: GuestRpc, id: number, { owner, epoch }: Tenure) {
    this.home = home;
    this.id = id;
    this.owner = owner;
    this.epoch = epoch;
  }
}

/** A guest's hold on an object of another, or of its own. */
export class RpcImport implements Tenure {
  readonly holder: GuestRpc;
  readonly id: number;
  readonly owner: number;
  readonly epoch: number;
  readonly target: RpcExport;

  constructor(holder: GuestRpc, id: number, { owner, epoch }: Tenure, target: RpcExport) {
    this.holder = holder;
    this.id = id;
    this.owner = owner;
    this.epoch = epoch;
    this.target = target;
    target.imports.add(this);
  }
}

/** What one guest has another do. It stays until the caller has the outcome and says so. */
export class RpcCall implements Tenure {
  readonly caller: GuestRpc;
  readonly id: number;
  readonly owner: number;
  readonly epoch: number;
  /** How many services it has passed; see `Exchange.maxDepth`. */
  readonly depth: number;
  readonly client: ClientFacts;
  /** Characters and bytes that lie on the host for it, and whose they are. */
  charge = 0;
  charged: GuestRpc;
  callee: GuestRpc | null = null;
  /** Its number in the callee. */
  answer = 0;
  /** The exchange of the callee in which it runs. */
  exchange = 0;
  /** The event that began with it. */
  incoming: IncomingCall | null = null;
  isReturned = false;

  constructor(caller: GuestRpc, id: number, { owner, epoch }: Tenure, depth: number, client: ClientFacts) {
    this.caller = caller;
    this.id = id;
    this.owner = owner;
    this.epoch = epoch;
    this.depth = depth;
    this.client = client;
    this.charged = caller;
  }
}

/** A capability on its way from one guest to another. */
type RpcCap =
  | { readonly kind: "object"; readonly target: RpcExport }
  | { readonly kind: "body"; readonly source: BodySource; readonly headers: HeaderBlock | null };

/** A message on its way. Only guests read its text and bytes. */
export class RpcMessage {
  readonly texts: string[] = [];
  readonly chunks: Uint8Array[] = [];
  readonly caps: RpcCap[] = [];
  size = 0;
  /** Why it cannot be delivered. */
  problem = "";

  /** It will not be delivered: what came with it is let go of. */
  discard(error: ProxyError): void {
    for (const cap of this.caps) {
      if (cap.kind === "body") cap.source.cancel(error);
      else if (cap.target.imports.size === 0) cap.target.home.forgetExport(cap.target);
    }
    this.caps.length = 0;
  }
}

/** A service that answers calls: a Worker, seen through one of its entrypoints. */
export interface RpcService {
  /** Begins an event of its own for the call. Never throws. */
  call(call: RpcCall, message: RpcMessage, request: RpcRequest): void;
}

/** What is asked for. */
export interface RpcRequest {
  /** JSON, an array of names. */
  readonly path: string;
  readonly isGet: boolean;
}
