import assert from "node:assert/strict";
import { test } from "node:test";
import { ok, request, Ways } from "./ways.ts";

// http-rules 3 and 5: RFC 9112 §3, §3.2, RFC 6585 §5, RFC 9110 §15.5.14, §15.5.15. Every spelling of Host and of a target that is
// refused stands in test/wire/requests.

test("3. limits", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t, "limits: { headerBytes: 12KiB, headerFields: 20, bodyBytes: 1000 }");

  await t.test("a request line of 8,000 octets is taken (RFC 9112 §3)", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const target = `${path}/${way.name}?${"q".repeat(8_000)}`;
      assert.equal((await ways.ask(way, target)).answer?.status, 200, way.name);
      assert.equal(ways.reached(target).length, 1, way.name);
    }
  });

  await t.test("one that is too long is 414, and one that never ends is not waited for", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      assert.equal((await ways.ask(way, `${path}?${"q".repeat(20_000)}`)).answer?.status, 414, way.name);
      assert.equal(
        (await ways.raw(way, `GET ${way.prefix}/${"q".repeat(20_000)}`)).answer?.status,
        414,
        way.name,
      );
    }
    assert.equal(ways.reached(path).length, 0);
  });

  await t.test(
    "a header section that is too large is 431, and nothing of it is cut off in silence",
    async () => {
      const path = ways.answering(ok);
      for (const way of ways.all) {
        for (const lines of [
          `X: ${"x".repeat(13_000)}\r\n`,
          `${"x".repeat(13_000)}: x\r\n`,
          "X: 1\r\n".repeat(20),
          `Connection: ${"a,".repeat(200)}a\r\n`,
        ]) {
          const { answer, client } = await ways.ask(way, path, { lines });
          assert.equal(answer?.status, 431, `${way.name} ${lines.slice(0, 20)}`);
          await client.ended();
        }
        const place = `${path}/${way.name}`;
        await ways.ask(way, place, { lines: `X: ${"x".repeat(11_000)}\r\n` });
        assert.match(ways.reached(place)[0]?.head ?? "", /^X: x{11000}\r$/m, way.name);
      }
      assert.equal(ways.reached(path).length, 0);
    },
  );

  await t.test("a trailer section has the same limit", async () => {
    const path = ways.on(() => {});
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      const { answer } = await ways.ask(way, place, {
        method: "POST",
        lines: "Transfer-Encoding: chunked\r\n",
        rest: `1\r\nx\r\n0\r\n${"X: 1\r\n".repeat(21)}\r\n`,
      });
      assert.equal(answer?.status, 431, way.name);
      for (const reached of ways.reached(place)) assert.equal(await reached.read(), false, way.name);
    }
  });

  await t.test("a body that is announced too long is 413, and no origin hears of it", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const { answer, client } = await ways.ask(way, path, {
        method: "POST",
        lines: "Content-Length: 1001\r\n",
      });
      assert.equal(answer?.status, 413, way.name);
      await client.ended();
    }
    assert.equal(ways.reached(path).length, 0);
  });

  await t.test("one that becomes too long is 413, and the origin never has a whole one", async () => {
    const path = ways.on(() => {});
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      const { answer } = await ways.ask(way, place, {
        method: "POST",
        lines: "Transfer-Encoding: chunked\r\n",
        rest: `3e8\r\n${"x".repeat(1000)}\r\n1\r\nx\r\n0\r\n\r\n`,
      });
      assert.equal(answer?.status, 413, way.name);
      for (const reached of ways.reached(place)) assert.equal(await reached.read(), false, way.name);
    }
  });

  await t.test("one at the limit passes", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const asked = { method: "POST", lines: "Content-Length: 1000\r\n", rest: "x".repeat(1000) };
      assert.equal((await ways.ask(way, path, asked)).answer?.status, 200, way.name);
    }
  });

  await t.test("a response's head without end is 502", async () => {
    const path = ways.answering(`HTTP/1.1 200 OK\r\n${"X: 1\r\n".repeat(60_000)}`);
    for (const way of ways.all) assert.equal((await ways.ask(way, path)).answer?.status, 502, way.name);
  });
});

test("5. absolute form and Host", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t, "", "forwarded: x-forwarded");
  const reverse = ways.all.filter(({ prefix }) => prefix === "");

  await t.test(
    "the absolute form is taken by a reverse proxy too, and its authority replaces Host (RFC 9112 §3.2.2)",
    async () => {
      const path = ways.answering(ok);
      for (const way of reverse) {
        const place = `${path}/${way.name}`;
        await ways.raw(way, `GET http://real:8080${place}?q HTTP/1.1\r\nHost: forged\r\n\r\n`);
        const head = ways.reached(`${place}?q`)[0]?.head ?? "";
        assert.match(head, /^Host: real:8080\r$/m, way.name);
        assert.match(head, /^X-Forwarded-Host: real:8080\r$/m, way.name);
        assert.doesNotMatch(head, /forged/, way.name);
      }
    },
  );

  await t.test(
    "https in the absolute form gives no plain connection the looks of TLS (RFC 9110 §7.4)",
    async () => {
      const path = ways.answering(ok);
      for (const way of reverse) {
        const place = `${path}/${way.name}`;
        await ways.raw(way, `GET https://real${place} HTTP/1.1\r\nHost: real\r\n\r\n`);
        assert.match(ways.reached(place)[0]?.head ?? "", /^X-Forwarded-Proto: http\r$/m, way.name);
      }
    },
  );

  await t.test("a forward proxy goes where the URL says, whatever Host says", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all.filter(({ prefix }) => prefix !== "")) {
      const place = `${path}/${way.name}`;
      assert.equal((await ways.ask(way, place)).answer?.status, 200, way.name);
      assert.match(
        ways.reached(place)[0]?.head ?? "",
        new RegExp(`^host: ${way.authority}\r$`, "im"),
        way.name,
      );
    }
  });

  const hosts: ReadonlyArray<readonly [clause: string, line: string]> = [
    ["a missing Host", ""],
    ["an empty Host", "Host:\r\n"],
    ["two Hosts", "Host: site\r\nHost: evil\r\n"],
    ["two equal Hosts", "Host: site\r\nHost: site\r\n"],
    ["userinfo in Host", "Host: u@site\r\n"],
    ["a space in Host", "Host: a b\r\n"],
    ["a path in Host", "Host: site/x\r\n"],
    ["a list in Host", "Host: site, evil\r\n"],
    ["an escape in Host", "Host: si%74e\r\n"],
    ["a port of zero in Host", "Host: site:0\r\n"],
    ["a port over 65535 in Host", "Host: site:65536\r\n"],
    ["a port that is no number in Host", "Host: site:http\r\n"],
    ["an IPv6 zone in Host", "Host: [fe80::1%25eth0]\r\n"],
    ["an IPv6 address without brackets in Host", "Host: ::1\r\n"],
    ["an odd spelling of an IPv4 address in Host", "Host: 0x7f.1\r\n"],
  ];
  for (const [clause, line] of hosts) {
    await t.test(`${clause} is 400, beside a full URL too, and the connection ends`, async () => {
      const path = ways.answering(ok);
      for (const way of ways.all) {
        for (const target of [`${way.prefix}${path}`, `http://${ways.origin.address}${path}`]) {
          const { answer, client } = await ways.raw(way, `GET ${target} HTTP/1.1\r\n${line}\r\n`);
          assert.equal(answer?.status, 400, way.name);
          await client.ended();
        }
      }
      assert.equal(ways.reached(path).length, 0);
    });
  }

  const targets: ReadonlyArray<readonly [clause: string, target: string]> = [
    ["userinfo in a URL", "http://u:p@site/"],
    ["an empty host in a URL", "http:///x"],
    ["a port of zero in a URL", "http://site:0/"],
    ["a port over 65535 in a URL", "http://site:65536/"],
    ["an empty port in a URL", "http://site:/"],
    ["two ports in a URL", "http://site:80:80/"],
    ["a backslash in a URL's authority", "http://site\\@evil/"],
    ["an IPv6 zone in a URL", "http://[fe80::1%25eth0]/"],
    ["another scheme", "ftp://site/"],
    ["a scheme without slashes", "http:site/"],
    ["a scheme with one slash", "http:/site/"],
    ["a fragment", "/x#y"],
    ["a path without its slash", "x"],
    ["an asterisk for another method than OPTIONS", "*"],
    ["an authority for another method than CONNECT", "site:80"],
  ];
  for (const [clause, target] of targets) {
    await t.test(`${clause} is 400, and the connection ends`, async () => {
      for (const way of ways.all) {
        const { answer, client } = await ways.raw(way, `GET ${target} HTTP/1.1\r\nHost: site\r\n\r\n`);
        assert.equal(answer?.status, 400, way.name);
        await client.ended();
      }
    });
  }

  await t.test(
    "an HTTP/1.0 client without Host is served, and the origin is named to itself (§3.2)",
    async () => {
      const path = ways.answering(ok);
      for (const way of reverse) {
        const place = `${path}/${way.name}`;
        const { answer } = await ways.raw(way, `GET ${place} HTTP/1.0\r\n\r\n`);
        assert.equal(answer?.status, 200, way.name);
        const host = /^Host: (.+)\r$/m.exec(ways.reached(place)[0]?.head ?? "")?.[1];
        assert.equal(host, way.name === "worker" ? "localhost" : ways.origin.address, way.name);
      }
    },
  );

  await t.test("a Host that Connection names is the request's Host all the same", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      await ways.ask(way, place, { lines: "Connection: host\r\n" });
      assert.match(
        ways.reached(place)[0]?.head ?? "",
        new RegExp(`^host: ${way.authority}\r$`, "im"),
        way.name,
      );
    }
  });

  await t.test("a second Host does not come in by a trailer or a folded line", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const rest = "1\r\nx\r\n0\r\nHost: evil\r\n\r\n";
      const place = `${path}/${way.name}`;
      await ways.raw(
        way,
        request(way, place, { method: "POST", lines: "Transfer-Encoding: chunked\r\n", rest }),
      );
      const [reached] = ways.reached(place);
      assert.doesNotMatch(`${reached?.head}${reached?.body}`, /evil/, way.name);
    }
  });
});
