/** Something with output that waits for the end of the turn. */
export interface Flushable {
  flush(): void;
}

const queue: Flushable[] = [];
const settled = Promise.resolve();
let running = false;
let scheduled = false;

/**
 * Output that is made while one input is worked on leaves in one write: whoever holds some asks to be flushed, and the
 * reader of the input flushes all at its end. What comes about outside of a read, such as an answer from a Worker, is
 * flushed when the microtasks of its turn run.
 */
export function flushLater(output: Flushable): void {
  queue.push(output);
  if (running || scheduled) return;
  scheduled = true;
  void settled.then(flushAll);
}

/** Marks the begin of work on one input; `endTurn` must follow. */
export function beginTurn(): void {
  running = true;
}

export function endTurn(): void {
  running = false;
  if (queue.length > 0) flushAll();
}

function flushAll(): void {
  scheduled = false;
  // A flush may add to the queue, since a destroyed socket ends its exchange; `length` is therefore read anew each time.
  for (let i = 0; i < queue.length; i++) queue[i]?.flush();
  queue.length = 0;
}
