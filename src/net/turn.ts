/** Something with output that waits for the end of the turn. */
export interface Flushable {
  flush(): void;
}

/** Used again from its start: emptying an array by its length is a call into V8's runtime. */
const queue: Array<Flushable | null> = [];
let queued = 0;
const settled = Promise.resolve();
let running = false;
let scheduled = false;
let turn = 0;

/** A number that no other turn has, for what is worked out once in each; 0 between turns. */
export function currentTurn(): number {
  return running ? turn : 0;
}

/**
 * Output that is made while one input is worked on leaves in one write: whoever holds some asks to be flushed, and the
 * reader of the input flushes all at its end. What comes about outside of a read, such as an answer from a Worker, is
 * flushed when the microtasks of its turn run.
 */
export function flushLater(output: Flushable): void {
  queue[queued++] = output;
  if (running || scheduled) return;
  scheduled = true;
  void settled.then(flushAll);
}

/** Marks the begin of work on one input; `endTurn` must follow, or the begin of another. */
export function beginTurn(): void {
  running = true;
  turn++;
}

export function endTurn(): void {
  running = false;
  if (queued > 0) flushAll();
}

function flushAll(): void {
  scheduled = false;
  // A flush may add to the queue, since a destroyed socket ends its exchange; `queued` is therefore read anew each time.
  for (let i = 0; i < queued; i++) {
    const output = queue[i];
    queue[i] = null;
    output?.flush();
  }
  queued = 0;
}
