const instances: WeakMap<object, UserFiles> = new WeakMap();

/** The files of users that config names, as the supervisor read them last; shards read none by themselves. */
export class UserFiles {
  #texts: Readonly<Record<string, string>> = {};
  /** Another number after each change. */
  version = 0;

  /** The one of a shard, which everything that was made with the same context shares. */
  static of(context: object): UserFiles {
    let files = instances.get(context);
    if (files === undefined) {
      files = new UserFiles();
      instances.set(context, files);
    }
    return files;
  }

  /** Takes other contents, by absolute path; `readUserFile` has read each without an error. */
  change(texts: Readonly<Record<string, string>>): void {
    this.#texts = { ...this.#texts, ...texts };
    this.version++;
  }

  get(path: string): string | null {
    return this.#texts[path] ?? null;
  }
}
