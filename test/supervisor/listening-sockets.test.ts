import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { ListeningSockets } from "../../src/supervisor/listening-sockets.ts";
import { inheritedDescriptor } from "../../src/supervisor/socket-activation.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

function sockets(t: TestContext): ListeningSockets {
  const listening = new ListeningSockets({});
  t.after(() => listening.closeAll());
  return listening;
}

test("port 0 is one descriptor for each socket, and the real port is shown", async (t) => {
  const opened = await sockets(t).open({ a: { address: "127.0.0.1:0" }, b: { address: "127.0.0.1:0" } });
  const [a, b] = opened;
  assert.match(a?.shown ?? "", /^127\.0\.0\.1:[1-9]\d*$/);
  assert.notEqual(a?.shown, b?.shown);
  assert.notEqual(a?.fd, b?.fd);
});

test("an address that stays keeps its descriptor, whatever the socket is called", async (t) => {
  const listening = sockets(t);
  const directory = new TemporaryDirectory(t);
  const path = `unix:${directory.at("s")}`;
  const [before] = await listening.open({ a: { address: path } });
  const [after] = await listening.open({ b: { address: path } });
  assert.equal(after?.fd, before?.fd);
  listening.closeOthers({ b: { address: path } });
  assert.equal(listening.size, 1);
  assert.ok(existsSync(directory.at("s")));
  listening.closeOthers({});
  assert.equal(listening.size, 0);
  assert.ok(!existsSync(directory.at("s")), "the file of a closed unix socket is gone");
});

test("the socket file of a dead process is replaced, that of a living one is not", async (t) => {
  const directory = new TemporaryDirectory(t);
  const path = directory.at("s");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
  await assert.rejects(sockets(t).open({ a: { address: `unix:${path}` } }), {
    message: `cannot listen on unix:${path} (socket "a"): address already in use`,
  });

  // Bound by a process that died: the file is there, and connecting is refused.
  const dead = directory.at("dead");
  const other = new ListeningSockets({});
  await other.open({ a: { address: `unix:${dead}` } });
  await assert.rejects(
    new Promise((resolve, reject) => connect(dead).once("connect", resolve).once("error", reject)),
    { code: "ECONNREFUSED" },
  );
  const [taken] = await sockets(t).open({ a: { address: `unix:${dead}` } });
  assert.equal(taken?.shown, `unix:${dead}`);
});

test("a file that is no socket is never removed", async (t) => {
  const directory = new TemporaryDirectory(t);
  const path = directory.at("data");
  writeFileSync(path, "precious");
  await assert.rejects(sockets(t).open({ a: { address: `unix:${path}` } }), {
    message: `cannot listen on unix:${path} (socket "a"): a file that is no socket stands in its place`,
  });
  assert.ok(existsSync(path));
});

test("an address that cannot be had is named with its socket and the reason", async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const listening = sockets(t);
  await assert.rejects(
    listening.open({ ok: { address: "127.0.0.1:0" }, bad: { address: `127.0.0.1:${port}` } }),
    {
      message: `cannot listen on 127.0.0.1:${port} (socket "bad"): address already in use`,
    },
  );
  assert.equal(listening.size, 0, "what was opened before the failure is closed");
  await assert.rejects(listening.open({ x: { address: "fd:987" } }), {
    message: 'cannot listen on fd:987 (socket "x"): descriptor 987 is no open socket',
  });
  await assert.rejects(listening.open({ x: { address: "192.0.2.1:80" } }), {
    message: 'cannot listen on 192.0.2.1:80 (socket "x"): address not available',
  });
});

test("two sockets with one address are found before either listens", async (t) => {
  const path = `unix:${new TemporaryDirectory(t).at("s")}`;
  await assert.rejects(sockets(t).open({ a: { address: path }, b: { address: path } }), {
    message: `cannot listen on ${path} (socket "b"): socket "a" has this address already`,
  });
});

test("systemd's descriptors are found by name, and only when meant for this process", () => {
  const env = { LISTEN_FDS: "3", LISTEN_PID: "7", LISTEN_FDNAMES: "http:admin:http" };
  assert.equal(inheritedDescriptor("admin", env, 7), 4);
  assert.throws(() => inheritedDescriptor("http", env, 7), /several sockets of this name/);
  assert.throws(
    () => inheritedDescriptor("https", env, 7),
    /no socket of this name \(only http, admin, http\)/,
  );
  assert.throws(() => inheritedDescriptor("admin", env, 8), /to process 7, and this is 8/);
  assert.throws(() => inheritedDescriptor("admin", {}, 7), /LISTEN_FDS is not set/);
  assert.equal(inheritedDescriptor("unknown", { LISTEN_FDS: "1" }, 7), 3);
});
