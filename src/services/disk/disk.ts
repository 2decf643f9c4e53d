import type { DiskConfig } from "../../config/schema/services.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { Exchange } from "../../http/exchange.ts";
import { pathEnd } from "../../http/path.ts";
import type { Traffic } from "../../observability/traffic.ts";
import type { LinkableService, ServiceContext, ServiceFactory } from "../context.ts";
import type { Service, Tunnel } from "../service.ts";
import { answerStatus } from "./answers.ts";
import { missing, readDiskPath, refused } from "./disk-path.ts";
import { DiskRead } from "./disk-read.ts";
import { DiskRoot } from "./disk-root.ts";
import { DiskWrite } from "./disk-write.ts";

/**
 * Serves the files below a directory: GET and HEAD with conditions and ranges (RFC 9110 §13, §14), and PUT where it is
 * writable. A directory without a slash is redirected to the one with it, which shows the first of its index files, or
 * nothing. Files that are missing, hidden or no regular files are one and the same 404.
 */
export class DiskService implements LinkableService {
  readonly name: string;
  readonly kind = "disk" as const;
  readonly #config: DiskConfig;
  readonly #root: DiskRoot;
  readonly #context: ServiceContext;
  readonly #traffic: Traffic;
  readonly #allow: string;

  constructor(name: string, config: DiskConfig, context: ServiceContext) {
    this.name = name;
    this.#config = config;
    this.#root = new DiskRoot(config.path);
    this.#context = context;
    this.#traffic = context.metrics.traffic("service", name);
    this.#allow = config.writable ? "GET, HEAD, PUT" : "GET, HEAD";
  }

  link(): void {}

  handle(exchange: Exchange): void {
    if (exchange.aborted !== null) return;
    const { method, target } = exchange.request;
    const startedAt = this.#context.now();
    this.#traffic.begin();
    const finished = (status: number, error: ProxyError | null) => {
      if (error !== null) this.#traffic.error(error.code);
      this.#traffic.finish(status, (this.#context.now() - startedAt) / 1000);
    };
    const writing = method === "PUT" && this.#config.writable;
    if (!writing && method !== "GET" && method !== "HEAD") {
      finished(405, null);
      answerStatus(exchange, 405, [["allow", this.#allow]]);
      return;
    }
    const path = readDiskPath(target.slice(0, pathEnd(target)), this.#config.allowDotfiles);
    if (path === refused || path === missing) {
      finished(path, null);
      answerStatus(exchange, path);
    } else if (!writing) {
      new DiskRead(exchange, this.#root, path, this.#config.index, finished).start();
    } else if (path.directory) {
      finished(409, null);
      answerStatus(exchange, 409);
    } else {
      new DiskWrite(exchange, this.#root, path.segments, finished).start();
    }
  }

  connect(tunnel: Tunnel): void {
    const message = "cannot open a tunnel: a disk has no connections";
    tunnel.refuse(new ProxyError("connect_unsupported", message));
  }

  at(): Service {
    return this;
  }

  close(): void {}
}

export const createDisk: ServiceFactory<DiskConfig> = (name, config, context) =>
  new DiskService(name, config, context);
