import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { type RunningSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";
import { until } from "./http-harness.ts";

const proto = `syntax = "proto3";
package test;
message Text { bytes data = 1; }
service Talk {
  rpc Say (Text) returns (Text);
  rpc Fail (Text) returns (Text);
  rpc Wait (Text) returns (Text);
  rpc Collect (stream Text) returns (Text);
  rpc Count (Text) returns (stream Text);
  rpc Chat (stream Text) returns (stream Text);
}`;

interface Text {
  readonly data: Buffer;
}

type Done = (error: grpc.ServiceError | null, answer?: Text) => void;

/** The client that grpc-js makes of the definition, as the tests use it. */
interface Talk extends grpc.Client {
  say(text: Text, metadata: grpc.Metadata, done: Done): grpc.ClientUnaryCall;
  fail(text: Text, done: Done): grpc.ClientUnaryCall;
  wait(text: Text, options: { deadline?: Date }, done: Done): grpc.ClientUnaryCall;
  collect(done: Done): grpc.ClientWritableStream<Text>;
  count(text: Text): grpc.ClientReadableStream<Text>;
  chat(): grpc.ClientDuplexStream<Text, Text>;
}

const worker = `
export default {
  async fetch(request, env) {
    return env.ORIGIN.fetch(request);
  },
};`;

const editing = `
export default {
  async fetch(request, env) {
    const own = new Request(request);
    own.headers.set("x-edited", "yes");
    const response = await env.ORIGIN.fetch(own);
    return new Response(response.body, response);
  },
};`;

class Server {
  readonly server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
  port = 0;
  cancelled = 0;
  waiting = 0;
  deadline: Date | number | null = null;

  async start(test: TestContext, service: grpc.ServiceDefinition): Promise<void> {
    this.server.addService(service, {
      say: (call: grpc.ServerUnaryCall<Text, Text>, done: grpc.sendUnaryData<Text>) => {
        const back = new grpc.Metadata();
        back.set("x-back", String(call.metadata.get("x-sent")[0] ?? ""));
        back.set("x-edited", String(call.metadata.get("x-edited")[0] ?? ""));
        call.sendMetadata(back);
        const trailer = new grpc.Metadata();
        trailer.set("x-trailer", "last");
        trailer.set("x-raw-bin", Buffer.from([0, 255]));
        done(null, call.request, trailer);
      },
      fail: (_call: unknown, done: grpc.sendUnaryData<Text>) => {
        done({ code: grpc.status.FAILED_PRECONDITION, details: "not now" });
      },
      wait: (call: grpc.ServerUnaryCall<Text, Text>) => {
        this.waiting++;
        this.deadline = call.getDeadline();
        call.on("cancelled", () => this.cancelled++);
      },
      collect: (call: grpc.ServerReadableStream<Text, Text>, done: grpc.sendUnaryData<Text>) => {
        let size = 0;
        call.on("data", ({ data }: Text) => {
          size += data.length;
        });
        call.on("end", () => done(null, { data: Buffer.from(String(size)) }));
      },
      count: async (call: grpc.ServerWritableStream<Text, Text>) => {
        call.on("cancelled", () => this.cancelled++);
        const chunk = Buffer.alloc(50_000);
        for (let i = 0; i < 200 && !call.cancelled; i++) {
          if (!call.write({ data: chunk })) await new Promise((resolve) => call.once("drain", resolve));
        }
        call.end();
      },
      chat: (call: grpc.ServerDuplexStream<Text, Text>) => {
        call.on("data", ({ data }: Text) => call.write({ data: Buffer.from(data.toString().toUpperCase()) }));
        call.on("end", () => call.end());
      },
    });
    this.port = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    test.after(() => this.server.forceShutdown());
  }
}

interface Setting {
  readonly server: Server;
  readonly sluice: RunningSluice;
  readonly clients: ReadonlyMap<string, Talk>;
}

/** A gRPC server behind a plain external, behind a Worker that passes calls on, and behind one that edits them. */
async function start(test: TestContext): Promise<Setting> {
  const directory = new TemporaryDirectory(test);
  const path = `${directory.path}/talk.proto`;
  writeFileSync(path, proto);
  const loaded = grpc.loadPackageDefinition(loadSync(path)) as unknown as {
    test: {
      Talk: (new (
        address: string,
        credentials: grpc.ChannelCredentials,
        options: object,
      ) => Talk) & { service: grpc.ServiceDefinition };
    };
  };
  const { Talk } = loaded.test;
  const server = new Server();
  await server.start(test, Talk.service);
  const sluice = await startSluice(
    test,
    `
sockets:
  plain: { address: "127.0.0.1:0", service: app }
  passing: { address: "127.0.0.1:0", service: passing }
  editing: { address: "127.0.0.1:0", service: editing }
services:
  app: { external: { address: "127.0.0.1:${server.port}", http: { version: 2 } } }
  passing: { worker: { main: ./passing.js, compatibilityDate: 2026-01-01, bindings: { ORIGIN: { service: app } } } }
  editing: { worker: { main: ./editing.js, compatibilityDate: 2026-01-01, bindings: { ORIGIN: { service: app } } } }
`,
    { files: { "passing.js": worker, "editing.js": editing } },
  );
  const clients = new Map<string, Talk>();
  for (const name of ["plain", "passing", "editing"]) {
    const { host } = new URL(await sluice.listening(name));
    const options = { "grpc.max_receive_message_length": -1 };
    const client = new Talk(host, grpc.credentials.createInsecure(), options);
    test.after(() => client.close());
    clients.set(name, client);
  }
  return { server, sluice, clients };
}

function text(data: string): Text {
  return { data: Buffer.from(data) };
}

test("gRPC goes through the proxy, plain and through Workers", async (t) => {
  const { server, clients } = await start(t);
  for (const [name, client] of clients) {
    await t.test(`unary calls bring metadata and trailers both ways (${name})`, async () => {
      const metadata = new grpc.Metadata();
      metadata.set("x-sent", "there");
      const seen = await new Promise<{ answer: Text; head: grpc.Metadata; status: grpc.StatusObject }>(
        (resolve, reject) => {
          let head = new grpc.Metadata();
          let answer = text("");
          const call = client.say(text("hello"), metadata, (error, got) => {
            if (error !== null) reject(error);
            else answer = got as Text;
          });
          call.on("metadata", (got: grpc.Metadata) => {
            head = got;
          });
          call.on("status", (status: grpc.StatusObject) => resolve({ answer, head, status }));
        },
      );
      assert.equal(seen.answer.data.toString(), "hello");
      assert.equal(seen.head.get("x-back")[0], "there");
      assert.equal(seen.head.get("x-edited")[0], name === "editing" ? "yes" : "");
      assert.equal(seen.status.metadata.get("x-trailer")[0], "last");
      assert.deepEqual(seen.status.metadata.get("x-raw-bin")[0], Buffer.from([0, 255]));
    });

    await t.test(`an error of the server is its own, without any message (${name})`, async () => {
      const error = await new Promise<grpc.ServiceError | null>((resolve) => client.fail(text(""), resolve));
      assert.equal(error?.code, grpc.status.FAILED_PRECONDITION);
      assert.equal(error?.details, "not now");
    });

    await t.test(`messages of some megabytes arrive whole (${name})`, async () => {
      const data = Buffer.alloc(3_000_000, "abcdefg");
      const answer = await new Promise<Text>((resolve, reject) =>
        client.say({ data }, new grpc.Metadata(), (error, got) =>
          error === null ? resolve(got as Text) : reject(error),
        ),
      );
      assert.ok(Buffer.compare(answer.data, data) === 0);
    });

    await t.test(`a client streams, a server streams, and both at once (${name})`, async () => {
      const collected = await new Promise<Text>((resolve, reject) => {
        const call = client.collect((error, got) => (error === null ? resolve(got as Text) : reject(error)));
        for (let i = 0; i < 100; i++) call.write({ data: Buffer.alloc(20_000) });
        call.end();
      });
      assert.equal(collected.data.toString(), "2000000");
      let counted = 0;
      for await (const { data } of client.count(text(""))) counted += (data as Buffer).length;
      assert.equal(counted, 10_000_000);
      const chat = client.chat();
      const heard: string[] = [];
      chat.on("data", ({ data }: Text) => heard.push(data.toString()));
      for (const [at, word] of ["one", "two", "three"].entries()) {
        chat.write(text(word));
        await until(() => heard.length === at + 1);
      }
      const ended = new Promise((resolve) => chat.on("end", resolve));
      chat.end();
      await ended;
      assert.deepEqual(heard, ["ONE", "TWO", "THREE"]);
    });

    await t.test(`a client that leaves in the middle cancels the call at the server (${name})`, async () => {
      const before = server.cancelled;
      const call = client.count(text(""));
      call.on("error", () => {});
      await new Promise((resolve) => call.once("data", resolve));
      call.cancel();
      await until(() => server.cancelled === before + 1);
    });

    await t.test(`a deadline reaches the server, and its end cancels the call there (${name})`, async () => {
      const before = server.cancelled;
      const deadline = new Date(Date.now() + 700);
      const error = await new Promise<grpc.ServiceError | null>((resolve) =>
        client.wait(text(""), { deadline }, resolve),
      );
      assert.equal(error?.code, grpc.status.DEADLINE_EXCEEDED);
      assert.ok(Number(server.deadline) > Date.now() - 5_000 && Number(server.deadline) < Date.now() + 5_000);
      await until(() => server.cancelled === before + 1);
      const { waiting } = server;
      const call = client.wait(text(""), {}, () => {});
      await until(() => server.waiting > waiting);
      call.cancel();
      await until(() => server.cancelled === before + 2);
    });
  }
});

test("a gRPC client sees a server that is gone as unavailable", async (t) => {
  const { server, clients } = await start(t);
  server.server.forceShutdown();
  for (const client of clients.values()) {
    const error = await new Promise<grpc.ServiceError | null>((resolve) =>
      client.say(text(""), new grpc.Metadata(), resolve),
    );
    assert.equal(error?.code, grpc.status.UNAVAILABLE);
  }
});
