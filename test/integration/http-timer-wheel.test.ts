import assert from "node:assert/strict";
import { test } from "node:test";
import { type TimerOwner, TimerWheel, WheelTimer } from "../../src/net/timer-wheel.ts";

/** A wheel whose clock and ticks the test moves. */
class Clock {
  time = 1_000_000;
  running = 0;
  readonly wheel: TimerWheel = new TimerWheel(
    () => this.time,
    () => {
      this.running++;
      return () => {
        this.running--;
      };
    },
  );

  /** Lets time pass in ticks, as the system timer does. */
  pass(ms: number): void {
    const end = this.time + ms;
    while (this.time < end) {
      this.time = Math.min(end, this.time + 50);
      this.wheel.advance();
    }
  }
}

class Alarm implements TimerOwner {
  readonly timer: WheelTimer = new WheelTimer(this);
  readonly fired: number[] = [];
  action: (() => void) | null = null;

  onTimer(now: number): void {
    this.fired.push(now);
    this.action?.();
  }
}

test("a timer fires once, not before its deadline and within a tick after it", () => {
  const clock = new Clock();
  for (const ms of [1, 49, 50, 51, 1000, 51_200, 60_000, 3_600_000]) {
    const alarm = new Alarm();
    const deadline = clock.time + ms;
    clock.wheel.arm(alarm.timer, deadline);
    clock.pass(ms + 100);
    assert.equal(alarm.fired.length, 1, `${ms} ms`);
    const [at = 0] = alarm.fired;
    assert.ok(at >= deadline && at < deadline + 100, `${ms} ms fired ${at - deadline} ms late`);
  }
  assert.equal(clock.wheel.size, 0);
});

test("a deadline can be moved away, brought nearer and taken back", () => {
  const clock = new Clock();
  const alarm = new Alarm();
  const { wheel } = clock;
  const start = clock.time;
  wheel.arm(alarm.timer, start + 200);
  clock.pass(100);
  wheel.arm(alarm.timer, start + 5000);
  clock.pass(4000);
  assert.deepEqual(alarm.fired, []);
  wheel.arm(alarm.timer, start + 4500);
  clock.pass(600);
  assert.equal(alarm.fired.length, 1);
  wheel.arm(alarm.timer, clock.time + 100);
  wheel.arm(alarm.timer, Number.POSITIVE_INFINITY);
  clock.pass(1000);
  assert.equal(alarm.fired.length, 1);
  wheel.arm(alarm.timer, clock.time + 100);
  wheel.cancel(alarm.timer);
  assert.equal(wheel.size, 0);
  clock.pass(1000);
  assert.equal(alarm.fired.length, 1);
});

test("the system timer runs only while a timer stands in the wheel", () => {
  const clock = new Clock();
  const alarm = new Alarm();
  assert.equal(clock.running, 0);
  clock.wheel.arm(alarm.timer, clock.time + 100);
  assert.equal(clock.running, 1);
  clock.wheel.cancel(alarm.timer);
  assert.equal(clock.running, 0);
  clock.wheel.arm(alarm.timer, clock.time + 100);
  clock.pass(200);
  assert.equal(alarm.fired.length, 1);
  assert.equal(clock.running, 0);
});

test("whoever is called may cancel its neighbours and arm itself again", () => {
  const clock = new Clock();
  const alarms = Array.from({ length: 10 }, () => new Alarm());
  const deadline = clock.time + 100;
  for (const alarm of alarms) {
    alarm.action = () => {
      for (const other of alarms) if (other !== alarm) clock.wheel.cancel(other.timer);
      clock.wheel.arm(alarm.timer, clock.time + 51_200);
      alarm.action = null;
    };
    clock.wheel.arm(alarm.timer, deadline);
  }
  clock.pass(200);
  assert.equal(
    alarms.reduce((sum, { fired }) => sum + fired.length, 0),
    1,
  );
  assert.equal(clock.wheel.size, 1);
  clock.pass(52_000);
  assert.equal(
    alarms.reduce((sum, { fired }) => sum + fired.length, 0),
    2,
  );
});

test("after a standstill longer than a round every timer that is due fires, and no other", () => {
  const clock = new Clock();
  const due = Array.from({ length: 100 }, () => new Alarm());
  for (const [i, alarm] of due.entries()) clock.wheel.arm(alarm.timer, clock.time + i * 1000);
  const later = new Alarm();
  clock.wheel.arm(later.timer, clock.time + 500_000);
  clock.time += 200_000;
  clock.wheel.advance();
  assert.ok(due.every(({ fired }) => fired.length === 1));
  assert.equal(later.fired.length, 0);
  assert.equal(clock.wheel.size, 1);
});

test("100,000 random moves end where a plain list of deadlines ends", () => {
  const clock = new Clock();
  const alarms = Array.from({ length: 200 }, () => new Alarm());
  const expected = new Map<Alarm, number>();
  let seed = 7;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (const alarm of alarms) {
    alarm.action = () => {
      const deadline = expected.get(alarm);
      assert.ok(deadline !== undefined && deadline <= clock.time && deadline > clock.time - 150);
      expected.delete(alarm);
    };
  }
  for (let i = 0; i < 100_000; i++) {
    const alarm = alarms[random(alarms.length)] as Alarm;
    const choice = random(10);
    if (choice < 7) {
      const deadline = clock.time + 1 + random(choice === 0 ? 200_000 : 500);
      clock.wheel.arm(alarm.timer, deadline);
      expected.set(alarm, deadline);
    } else if (choice === 7) {
      clock.wheel.cancel(alarm.timer);
      expected.delete(alarm);
    } else {
      clock.pass(1 + random(40));
    }
  }
  clock.pass(300_000);
  assert.equal(expected.size, 0);
  assert.equal(clock.wheel.size, 0);
});
