import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestCalls } from "../../src/isolate/bridge/guest-calls.ts";
import { MessageGatherer } from "../../src/isolate/bridge/guest-rpc-gather.ts";
import { HostBuffer } from "../../src/isolate/bridge/host-buffer.ts";
import { Drained, OutboxReader } from "../../src/isolate/bridge/outbox.ts";
import type { Session } from "../../src/isolate/bridge/session.ts";
import * as wire from "../../src/wire/ops.ts";
import { MAX_MESSAGE } from "../../src/wire/rpc-ops.ts";

const MiB = 1 << 20;

/** A piece of a call's input, as a guest writes it that has broken its runtime. */
function call(calls: GuestCalls, id: number, operation: number, bytes: Uint8Array, length: number): void {
  const drained = new Drained();
  drained.fill(new Int32Array([wire.OUT_CALL, id, operation, 0, length, 0]), 6, "", bytes);
  const reader = new OutboxReader(drained);
  reader.next();
  calls.call(reader);
}

test("pieces of a call's input are windows, so that they hold no more than is counted", () => {
  let exceeded = 0;
  const session = {
    buffer: new HostBuffer(2 * MiB),
    calls: 0,
    isOver: false,
    exceeded: () => exceeded++,
  } as unknown as Session;
  const calls = new GuestCalls(session);
  const window = new Uint8Array(wire.WINDOW);
  for (const length of [0, 1, wire.WINDOW - 1]) assert.throws(() => call(calls, 1, 0, window, length));
  while (exceeded === 0) call(calls, 1, 0, window, wire.WINDOW);
});

test("a message of very many small pieces is too large, and none of them holds the rest of what came with it", () => {
  const gatherer = new MessageGatherer({} as Session, () => undefined);
  const give = (): never => assert.fail();
  const window = new Uint8Array(wire.WINDOW).fill(7);
  for (let i = 0; i < 10; i++) gatherer.add("", window.subarray(i, i + 1));
  const kept = gatherer.take(give);
  assert.deepEqual(
    kept.chunks.map((chunk) => [chunk[0], chunk.buffer.byteLength]),
    Array.from({ length: 10 }, () => [7, 1]),
  );
  let pieces = 0;
  while (pieces < MAX_MESSAGE / 64) {
    gatherer.add("", window.subarray(0, 1));
    pieces++;
  }
  const message = gatherer.take(give);
  assert.match(message.problem, /more than/);
  assert.equal(message.chunks.length, 0);
});
