import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import type { ProxyError } from "../../errors/proxy-error.ts";
import { BytesBody } from "../../http/body.ts";
import type { Exchange, ExchangeHandler } from "../../http/exchange.ts";
import { HeaderBlock } from "../../http/header-block.ts";
import { ResponseHead } from "../../http/message.ts";
import { pathEnd } from "../../http/path.ts";
import { answerStatus, diskFailed, statusOf } from "./answers.ts";
import { evaluate, rangeHolds } from "./conditions.ts";
import { contentType } from "./content-types.ts";
import type { DiskPath } from "./disk-path.ts";
import type { DiskRoot, OpenFile } from "./disk-root.ts";
import { FileBody } from "./file-body.ts";
import { formatHttpDate } from "./http-date.ts";
import { type ByteRange, parseRanges } from "./ranges.ts";

/** A file up to this size is read before its head is sent: it goes out with it, and can no longer break off. */
const wholeBytes = 65_536;

/** Called once, when nothing of the exchange is held any more; status 0 when there was no answer. */
export type Finished = (status: number, error: ProxyError | null) => void;

/** One GET or HEAD. */
export class DiskRead implements ExchangeHandler {
  readonly #exchange: Exchange;
  readonly #root: DiskRoot;
  readonly #path: DiskPath;
  readonly #index: readonly string[];
  readonly #finished: Finished;
  #aborted: ProxyError | null = null;

  constructor(
    exchange: Exchange,
    root: DiskRoot,
    path: DiskPath,
    index: readonly string[],
    finished: Finished,
  ) {
    this.#exchange = exchange;
    this.#root = root;
    this.#path = path;
    this.#index = index;
    this.#finished = finished;
  }

  start(): void {
    this.#exchange.handler = this;
    this.#root.open(this.#path.segments, (error, file) => {
      if (file === null) this.#refuse(error);
      else if (this.#dropped(file)) return;
      else if (!file.directory) this.#serveNamed(file);
      else fs.close(file.fd, () => this.#enterDirectory());
    });
  }

  onAbort(error: ProxyError): void {
    this.#aborted = error;
  }

  /** True when the client left meanwhile. */
  #dropped(file: OpenFile | null): boolean {
    if (this.#aborted === null) return false;
    if (file !== null) fs.close(file.fd, ignore);
    this.#finished(0, this.#aborted);
    return true;
  }

  #serveNamed(file: OpenFile): void {
    const { segments, directory } = this.#path;
    // `/file/` names something in a directory that is none.
    if (directory) fs.close(file.fd, () => this.#answer(404));
    else this.#serve(file, segments.at(-1) ?? "");
  }

  #enterDirectory(): void {
    if (this.#dropped(null)) return;
    if (this.#path.directory) this.#tryIndex(0);
    else this.#answer(308, [["location", this.#directoryLocation()]]);
  }

  /** Relative to the request, so that it holds whatever prefix a router has stripped, and never names another host. */
  #directoryLocation(): string {
    const { target } = this.#exchange.request;
    const end = pathEnd(target);
    const name = target.slice(target.lastIndexOf("/", end - 1) + 1, end);
    return `./${name}/${target.slice(end)}`;
  }

  #tryIndex(at: number): void {
    const name = this.#index[at];
    if (name === undefined) {
      this.#answer(404);
      return;
    }
    this.#root.open([...this.#path.segments, name], (error, file) => {
      if (file !== null) {
        if (this.#dropped(file)) return;
        if (!file.directory) this.#serve(file, name);
        else fs.close(file.fd, () => this.#tryIndex(at + 1));
      } else if (this.#dropped(null)) return;
      else if (error !== null && statusOf(error) === 404) this.#tryIndex(at + 1);
      else this.#refuse(error);
    });
  }

  #serve(file: OpenFile, name: string): void {
    const { headers, method } = this.#exchange.request;
    const { validators, size } = file;
    const verdict = evaluate(headers, validators, true);
    const fields: Array<[string, string]> = [
      ["etag", validators.etag],
      ["last-modified", formatHttpDate(validators.modified)],
    ];
    if (verdict === "failed") {
      fs.close(file.fd, () => this.#answer(412));
      return;
    }
    if (verdict === "not-modified") {
      fs.close(file.fd, () => this.#respond(new ResponseHead(304, HeaderBlock.from(fields)), null));
      return;
    }
    fields.push(["accept-ranges", "bytes"], ["x-content-type-options", "nosniff"]);
    const type = contentType(name);
    // Only GET has ranges (RFC 9110 §14.2).
    const range = method === "GET" ? headers.get("range") : null;
    const repeated = range !== null && headers.getAll("range").length > 1;
    const ranges =
      range !== null && !repeated && rangeHolds(headers, validators) ? parseRanges(range, size) : null;
    if (ranges?.length === 0) {
      fs.close(file.fd, () =>
        this.#answer(416, [["content-range", `bytes */${size}`], ...fields.slice(0, 3)]),
      );
      return;
    }
    const [only] = ranges ?? [];
    if (ranges !== null && ranges.length > 1) {
      this.#sendMultipart(file, fields, type, ranges);
    } else if (only !== undefined) {
      fields.push(["content-type", type], ["content-range", `bytes ${only.start}-${only.end - 1}/${size}`]);
      this.#send(new ResponseHead(206, HeaderBlock.from(fields)), file, only);
    } else {
      fields.push(["content-type", type]);
      this.#send(new ResponseHead(200, HeaderBlock.from(fields)), file, { start: 0, end: size });
    }
  }

  #send(head: ResponseHead, file: OpenFile, range: ByteRange): void {
    const length = range.end - range.start;
    if (this.#exchange.request.method === "HEAD") {
      head.announcedLength = length;
      fs.close(file.fd, () => this.#respond(head, null));
    } else if (length > wholeBytes) {
      this.#stream(head, file, [range]);
    } else if (length === 0) {
      fs.close(file.fd, () => this.#respond(head, new BytesBody(new Uint8Array(0))));
    } else {
      this.#readWhole(head, file, range, Buffer.allocUnsafe(length), 0);
    }
  }

  #readWhole(head: ResponseHead, file: OpenFile, range: ByteRange, buffer: Buffer, filled: number): void {
    fs.read(file.fd, buffer, filled, buffer.length - filled, range.start + filled, (error, count) => {
      if (error === null && count > 0 && filled + count < buffer.length) {
        this.#readWhole(head, file, range, buffer, filled + count);
        return;
      }
      fs.close(file.fd, () => {
        if (error === null && count > 0) this.#respond(head, new BytesBody(buffer));
        else this.#fail(diskFailed("send", error ?? new Error("it is shorter than it was")));
      });
    });
  }

  /** Each range with fields of its own between boundaries (RFC 9110 §14.6). */
  #sendMultipart(file: OpenFile, fields: Array<[string, string]>, type: string, ranges: ByteRange[]): void {
    const boundary = randomBytes(18).toString("hex");
    const parts: Array<ByteRange | Uint8Array> = [];
    for (const range of ranges) {
      const place = `bytes ${range.start}-${range.end - 1}/${file.size}`;
      const text = `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${place}\r\n\r\n`;
      parts.push(Buffer.from(text, "latin1"), range);
    }
    parts.push(Buffer.from(`\r\n--${boundary}--\r\n`, "latin1"));
    fields.push(["content-type", `multipart/byteranges; boundary=${boundary}`]);
    this.#stream(new ResponseHead(206, HeaderBlock.from(fields)), file, parts);
  }

  #stream(head: ResponseHead, file: OpenFile, parts: ReadonlyArray<ByteRange | Uint8Array>): void {
    const body = new FileBody(file.fd, parts, (error) =>
      this.#finished(error?.status === 0 ? 0 : head.status, error),
    );
    this.#exchange.handler = null;
    this.#exchange.respond(head, body);
  }

  #refuse(error: NodeJS.ErrnoException | null): void {
    if (this.#dropped(null)) return;
    const failure = error ?? new Error("no such file");
    const status = statusOf(failure);
    if (status === null) this.#fail(diskFailed("open", failure));
    else this.#answer(status);
  }

  #answer(status: number, fields: ReadonlyArray<readonly [string, string]> = []): void {
    if (this.#dropped(null)) return;
    this.#exchange.handler = null;
    this.#finished(status, null);
    answerStatus(this.#exchange, status, fields);
  }

  #respond(head: ResponseHead, body: BytesBody | null): void {
    if (this.#dropped(null)) return;
    this.#exchange.handler = null;
    this.#finished(head.status, null);
    this.#exchange.respond(head, body);
  }

  #fail(error: ProxyError): void {
    if (this.#dropped(null)) return;
    this.#exchange.handler = null;
    this.#finished(error.status, error);
    this.#exchange.fail(error);
  }
}

function ignore(): void {}
