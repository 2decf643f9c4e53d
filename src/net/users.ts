import { createHmac, randomBytes } from "node:crypto";
import { ProxyError } from "../errors/proxy-error.ts";
import { checkPassword, readPassword, readUserFile, type StoredPassword } from "./password.ts";
import { UserFiles } from "./user-files.ts";

/** What a client claims to be. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Users as config has them: in place, and in a file that is read again when it changes. */
export interface UsersConfig {
  readonly users?: Readonly<Record<string, string>> | undefined;
  /** Absolute path. */
  readonly usersFile?: string | undefined;
}

/** Waits for a verdict. */
export interface LoginWaiter {
  /** Nobody wants the verdict any more: it is not worked out, and `onVerdict` is not called. */
  readonly left: boolean;
  /** Called once. @param problem set when it cannot be told; then `isRight` is false */
  onVerdict(isRight: boolean, problem: ProxyError | null): void;
}

/** So many of one list wait for their check. */
const maxWaiting = 64;
/** Credentials that were right, which are known again without another check. */
const maxRemembered = 1024;

/**
 * The users that one place of the config lets in. A check costs a thread some 30 ms or more, so it cannot be had without
 * bounds: see `PasswordChecks`. Right credentials are known again, by a keyed hash, until the users change.
 */
export class Users {
  readonly #inPlace: ReadonlyMap<string, StoredPassword>;
  readonly #files: UserFiles;
  readonly #path: string | null;
  readonly #checks: PasswordChecks;
  readonly #secret = randomBytes(32);
  readonly #remembered: Set<string> = new Set();
  /** In place and from the file. */
  #users: ReadonlyMap<string, StoredPassword>;
  #version = -1;
  /** Stands in for a user who does not exist, so that the time of an answer does not tell names. */
  #nobody: StoredPassword = { kind: "plain", text: "" };
  #waiting = 0;

  /**
   * @param context of the shard, which has the files
   * @throws Error when a password cannot be read
   */
  constructor(config: UsersConfig, context: object) {
    this.#inPlace = new Map(
      Object.entries(config.users ?? {}).map(([name, text]) => [name, readPassword(text)]),
    );
    this.#users = this.#inPlace;
    this.#files = UserFiles.of(context);
    this.#path = config.usersFile ?? null;
    this.#checks = PasswordChecks.of(context);
  }

  /** True for credentials that were found right since the users last changed. */
  knows(credentials: Credentials): boolean {
    this.#update();
    return this.#remembered.has(this.#mark(credentials));
  }

  /** Checks credentials, now or later. */
  verify(credentials: Credentials, waiter: LoginWaiter): void {
    this.#update();
    if (this.#remembered.has(this.#mark(credentials))) waiter.onVerdict(true, null);
    else if (this.#waiting >= maxWaiting) {
      const reason = "cannot check the password: too many are being checked";
      waiter.onVerdict(false, new ProxyError("upstream_busy", reason));
    } else {
      this.#waiting++;
      this.#checks.add({
        start: () => {
          this.#waiting--;
          return waiter.left ? null : this.#check(credentials, waiter);
        },
      });
    }
  }

  async #check(credentials: Credentials, waiter: LoginWaiter): Promise<void> {
    this.#update();
    const version = this.#version;
    const stored = this.#users.get(credentials.user);
    let isRight = false;
    let problem: ProxyError | null = null;
    try {
      const matches = await checkPassword(stored ?? this.#nobody, credentials.password);
      isRight = matches && stored !== undefined;
      // Nor does the time tell who has a password that is stored as it is.
      if (stored?.kind === "plain" && this.#nobody.kind !== "plain") {
        await checkPassword(this.#nobody, credentials.password);
      }
    } catch (error) {
      problem = ProxyError.from(error);
    }
    this.#update();
    // The users may have changed in the meantime: then the verdict is about a password of before.
    if (isRight && version === this.#version) this.#remember(this.#mark(credentials));
    if (!waiter.left) waiter.onVerdict(isRight, problem);
  }

  #remember(mark: string): void {
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    this.#remembered.add(mark);
  }

  /** With the length of the name no two pairs give the same text: SOCKS takes names with colons. */
  #mark({ user, password }: Credentials): string {
    return createHmac("sha256", this.#secret).update(`${user.length}:${user}${password}`).digest("base64");
  }

  #update(): void {
    if (this.#version === this.#files.version) return;
    this.#version = this.#files.version;
    this.#remembered.clear();
    const text = this.#path === null ? null : this.#files.get(this.#path);
    const users = new Map(text === null ? [] : readUserFile(text));
    for (const [name, password] of this.#inPlace) users.set(name, password);
    this.#users = users;
    this.#nobody = slowest(users.values());
  }
}

/** The hash that takes the longest to check; without any, a password as it is. */
function slowest(passwords: Iterable<StoredPassword>): StoredPassword {
  let found: StoredPassword = { kind: "plain", text: "" };
  for (const password of passwords) if (workOf(password) > workOf(found)) found = password;
  return found;
}

/** Bytes of memory that a check goes over. */
function workOf(password: StoredPassword): number {
  if (password.kind === "plain") return 0;
  if (password.kind === "argon2id") return 1024 * password.memory * password.passes;
  return 128 * 2 ** password.logN * password.r * password.p * 2;
}

interface PendingCheck {
  /** Null when nothing is to be done. */
  start(): Promise<void> | null;
}

const checks: WeakMap<object, PasswordChecks> = new WeakMap();

/**
 * All checks of passwords in a shard. A few run at once, each on a thread of the pool that files, names and compression
 * need as well: a client that guesses keeps others from their login for a while, and from nothing else.
 */
class PasswordChecks {
  static readonly #maxRunning = 2;
  readonly #pending: PendingCheck[] = [];
  #running = 0;

  static of(context: object): PasswordChecks {
    let found = checks.get(context);
    if (found === undefined) {
      found = new PasswordChecks();
      checks.set(context, found);
    }
    return found;
  }

  add(check: PendingCheck): void {
    this.#pending.push(check);
    this.#advance();
  }

  #advance(): void {
    while (this.#running < PasswordChecks.#maxRunning) {
      const running = this.#pending.shift()?.start();
      if (running === undefined) return;
      if (running === null) continue;
      this.#running++;
      void running.finally(() => {
        this.#running--;
        this.#advance();
      });
    }
  }
}
