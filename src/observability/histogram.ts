/** Upper bounds of the buckets for pauses of the event loop, in seconds. */
export const pauseBounds = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
] as const;

/** Durations counted by bucket, in plain numbers: short ones, which are most, cost one comparison. */
export class Histogram {
  /** Not cumulative; the last is for what lies above every bound. */
  readonly counts: number[] = new Array<number>(pauseBounds.length + 1).fill(0);
  sum = 0;

  record(seconds: number): void {
    let bucket = 0;
    while (bucket < pauseBounds.length && seconds > (pauseBounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += seconds;
  }
}
