/** Begins work on a thread; the promise never rejects. Null when nobody wants it any more. */
type Begin = () => Promise<void> | null;

/** What one guest has waiting and running. */
class Queue {
  readonly waiting: Begin[] = [];
  running = 0;
}

/**
 * Shares out Node's thread pool among guests. File access and name resolution need threads of it too, so one is left
 * to them; guests take turns, so that one with a thousand jobs does not make another wait for all of them; and none has
 * all threads at once, since nothing can stop a job that takes long.
 */
export class Threads {
  readonly #limit: number;
  readonly #share: number;
  /** By guest, in the order in which the guests have their turn. */
  readonly #queues: Map<object, Queue> = new Map();
  #running = 0;

  /** @param limit of jobs that run at a time @param share of them that may be one guest's */
  constructor(limit: number, share: number) {
    this.#limit = limit;
    this.#share = share;
  }

  /** Jobs that run or wait. */
  get size(): number {
    let size = this.#running;
    for (const queue of this.#queues.values()) size += queue.waiting.length;
    return size;
  }

  /** @param guest whose turn it takes. */
  add(guest: object, begin: Begin): void {
    let queue = this.#queues.get(guest);
    if (queue === undefined) {
      queue = new Queue();
      this.#queues.set(guest, queue);
    }
    queue.waiting.push(begin);
    this.#next();
  }

  #next(): void {
    while (this.#running < this.#limit) {
      const guest = this.#whoseTurn();
      if (guest === null) return;
      const queue = this.#queues.get(guest) as Queue;
      // To the end of the line.
      this.#queues.delete(guest);
      this.#queues.set(guest, queue);
      const work = (queue.waiting.shift() as Begin)();
      if (work === null) {
        this.#forgetIdle(guest, queue);
        continue;
      }
      this.#running++;
      queue.running++;
      void work.then(() => {
        this.#running--;
        queue.running--;
        this.#forgetIdle(guest, queue);
        this.#next();
      });
    }
  }

  #whoseTurn(): object | null {
    for (const [guest, queue] of this.#queues) {
      if (queue.waiting.length > 0 && queue.running < this.#share) return guest;
    }
    return null;
  }

  #forgetIdle(guest: object, queue: Queue): void {
    if (queue.waiting.length === 0 && queue.running === 0) this.#queues.delete(guest);
  }
}

/** Node's default, which the process may have been started with another value of. */
const poolSize = Number(process.env.UV_THREADPOOL_SIZE) || 4;
const usable = Math.max(1, poolSize - 1);

/** The pool is the process's, and so is what shares it out. */
export const threads: Threads = new Threads(usable, Math.max(1, usable - 1));
