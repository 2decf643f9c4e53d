import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { type FileHandle, lstat, mkdir, open, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { Exchange, ExchangeHandler } from "../../http/exchange.ts";
import { HeaderBlock } from "../../http/header-block.ts";
import { ResponseHead } from "../../http/message.ts";
import { answerStatus, diskFailed } from "./answers.ts";
import { evaluate } from "./conditions.ts";
import { temporaryPrefix } from "./disk-path.ts";
import type { Finished } from "./disk-read.ts";
import { type DiskRoot, pathIn, validatorsOf } from "./disk-root.ts";
import { FileSink } from "./file-sink.ts";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = fs.constants;

const maxDepth = 64;

/** An open directory below the root. */
interface Place {
  readonly handle: FileHandle;
  readonly path: string;
}

/** The answer to a request that cannot be carried out as things are on the disk. */
class Refusal {
  readonly status: number;

  constructor(status: number) {
    this.status = status;
  }
}

/**
 * One PUT. The body goes into a file of its own in the nearest directory that exists, and takes the name's place when it
 * is whole and with the disk: whoever reads meanwhile gets the old content or the new. Until then nothing is there but
 * that file, which goes when anything fails, so a PUT that fails leaves no trace.
 *
 * Directories are held open while they are used, and were asked where they are: a link that leads out of the root, or is
 * put in the way meanwhile, leads nowhere.
 */
export class DiskWrite implements ExchangeHandler {
  readonly #exchange: Exchange;
  readonly #root: DiskRoot;
  readonly #segments: readonly string[];
  readonly #finished: Finished;
  #aborted: ProxyError | null = null;
  #sink: FileSink | null = null;
  readonly #places: Place[] = [];

  constructor(exchange: Exchange, root: DiskRoot, segments: readonly string[], finished: Finished) {
    this.#exchange = exchange;
    this.#root = root;
    this.#segments = segments;
    this.#finished = finished;
  }

  start(): void {
    this.#exchange.handler = this;
    void this.#run();
  }

  onAbort(error: ProxyError): void {
    this.#aborted = error;
    this.#sink?.abort(error);
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    let head: ResponseHead | null = null;
    let refusal: Refusal | null = null;
    let failure: ProxyError | null = null;
    try {
      head = await this.#put();
    } catch (thrown) {
      if (thrown instanceof Refusal) refusal = thrown;
      else failure = toFailure(thrown);
    }
    for (const { handle } of this.#places) await handle.close().catch(() => {});
    this.#exchange.handler = null;
    if (this.#aborted !== null) {
      this.#finished(0, this.#aborted);
    } else if (refusal !== null) {
      this.#finished(refusal.status, null);
      answerStatus(this.#exchange, refusal.status);
    } else if (failure !== null) {
      this.#finished(failure.status, failure);
      this.#exchange.fail(failure);
    } else if (head !== null) {
      this.#finished(head.status, null);
      this.#exchange.respond(head, null);
    }
  }

  async #put(): Promise<ResponseHead> {
    const name = this.#segments.at(-1);
    // A part of a file cannot be put: the rest would be lost (RFC 9110 §14.5).
    if (this.#exchange.request.headers.has("content-range")) throw new Refusal(400);
    if (name === undefined) throw new Refusal(409);
    // Each directory on the way is held open.
    if (this.#segments.length > maxDepth) throw new Refusal(400);
    const parents = this.#segments.slice(0, -1);
    const made = await this.#enterExisting(parents);
    const place = this.#place();
    const old = made.length > 0 ? this.#judge(null) : await this.#look(name);
    if (this.#aborted !== null) throw this.#aborted;
    const temporary = pathIn(place.handle.fd, place.path, temporaryPrefix + randomBytes(12).toString("hex"));
    const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666).catch(asRefusal);
    let moved = false;
    try {
      if (old !== null) await file.chmod(Number(old.mode) & 0o777);
      await this.#receive(file);
      await file.datasync();
      await this.#makeDirectories(made);
      // The file may have been replaced while the body came.
      const replaced = (await this.#look(name)) !== null;
      if (this.#aborted !== null) throw this.#aborted;
      await rename(temporary, this.#pathOf(name)).catch(asRefusal);
      moved = true;
      const { etag } = validatorsOf(await file.stat({ bigint: true }));
      return new ResponseHead(replaced ? 204 : 201, HeaderBlock.from([["etag", etag]]));
    } finally {
      await file.close();
      if (!moved) await unlink(temporary).catch(() => {});
    }
  }

  async #receive(file: FileHandle): Promise<void> {
    if (this.#aborted !== null) throw this.#aborted;
    const body = this.#exchange.takeBody();
    if (body === null) return;
    this.#sink = new FileSink(file, body);
    await this.#sink.done;
    this.#sink = null;
  }

  /** Enters the directories that exist. @returns the names of those that do not. */
  async #enterExisting(parents: readonly string[]): Promise<readonly string[]> {
    await this.#enter(this.#root.path, this.#root.path);
    for (let i = 0; i < parents.length; i++) {
      const name = parents[i] ?? "";
      try {
        await this.#enter(this.#pathOf(name), join(this.#place().path, name));
      } catch (error) {
        if (isCode(error, "ENOENT")) return parents.slice(i);
        return asRefusal(error);
      }
    }
    return [];
  }

  async #makeDirectories(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const path = this.#pathOf(name);
      try {
        await mkdir(path);
      } catch (error) {
        if (!isCode(error, "EEXIST")) asRefusal(error);
      }
      await this.#enter(path, join(this.#place().path, name)).catch(asRefusal);
    }
  }

  async #enter(path: string, shown: string): Promise<void> {
    const handle = await open(path, O_RDONLY | O_DIRECTORY);
    if (!this.#root.holds(handle.fd, shown)) {
      await handle.close();
      throw new Refusal(404);
    }
    this.#places.push({ handle, path: shown });
  }

  /** What stands under the name now. @throws Refusal when it cannot be replaced, or a condition fails. */
  async #look(name: string): Promise<fs.BigIntStats | null> {
    let stat: fs.BigIntStats | null = null;
    try {
      stat = await lstat(this.#pathOf(name), { bigint: true });
    } catch (error) {
      if (!isCode(error, "ENOENT")) asRefusal(error);
    }
    // A link is replaced, not followed.
    if (stat !== null && !stat.isFile() && !stat.isSymbolicLink()) throw new Refusal(409);
    return this.#judge(stat);
  }

  #judge(stat: fs.BigIntStats | null): fs.BigIntStats | null {
    const current = stat === null ? null : validatorsOf(stat);
    if (evaluate(this.#exchange.request.headers, current, false) !== "go-on") throw new Refusal(412);
    return stat;
  }

  #place(): Place {
    const place = this.#places.at(-1);
    if (place === undefined) throw new Error("cannot write: no directory is open");
    return place;
  }

  #pathOf(name: string): string {
    const { handle, path } = this.#place();
    return pathIn(handle.fd, path, name);
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function asRefusal(error: unknown): never {
  if (isCode(error, "EACCES") || isCode(error, "EPERM") || isCode(error, "EROFS")) throw new Refusal(403);
  if (isCode(error, "ENAMETOOLONG")) throw new Refusal(400);
  if (isCode(error, "ENOTDIR") || isCode(error, "EISDIR") || isCode(error, "ENOTEMPTY"))
    throw new Refusal(409);
  if (isCode(error, "EEXIST") || isCode(error, "ELOOP")) throw new Refusal(409);
  throw error;
}

function toFailure(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  return diskFailed("write", thrown instanceof Error ? thrown : new Error(String(thrown)));
}
