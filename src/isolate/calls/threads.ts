/** Work that waits for a thread. */
interface Waiting {
  /** Begins the work; the promise never rejects. Null when nobody wants it any more. */
  readonly begin: () => Promise<void> | null;
}

/**
 * Shares out Node's thread pool among guests. File access and name resolution need threads of it too, so one is left
 * to them; guests take turns, so that one with a thousand jobs does not make another wait for all of them.
 */
export class Threads {
  readonly #limit: number;
  /** Jobs by guest, in the order in which the guests have their turn. */
  readonly #queues: Map<object, Waiting[]> = new Map();
  #running = 0;

  /** @param limit of jobs that run at a time */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Jobs that run or wait. */
  get size(): number {
    let size = this.#running;
    for (const queue of this.#queues.values()) size += queue.length;
    return size;
  }

  /** @param guest whose turn it takes. @param begin see `Waiting`. */
  add(guest: object, begin: () => Promise<void> | null): void {
    const queue = this.#queues.get(guest);
    if (queue === undefined) this.#queues.set(guest, [{ begin }]);
    else queue.push({ begin });
    this.#next();
  }

  #next(): void {
    while (this.#running < this.#limit) {
      const first = this.#queues.entries().next();
      if (first.done) return;
      const [guest, queue] = first.value;
      const job = queue.shift() as Waiting;
      // To the end of the line.
      this.#queues.delete(guest);
      if (queue.length > 0) this.#queues.set(guest, queue);
      const work = job.begin();
      if (work === null) continue;
      this.#running++;
      void work.then(() => {
        this.#running--;
        this.#next();
      });
    }
  }
}

/** Node's default, which the process may have been started with another value of. */
const poolSize = Number(process.env.UV_THREADPOOL_SIZE) || 4;

/** The pool is the process's, and so is what shares it out. */
export const threads: Threads = new Threads(Math.max(1, poolSize - 1));
