import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import { AddressPolicy, classOf, parseIp, parseRange, parseRule } from "../../src/net/cidr.ts";

const classes: ReadonlyArray<readonly [address: string, kind: string]> = [
  ["1.1.1.1", "public"],
  ["11.0.0.1", "public"],
  ["172.15.255.255", "public"],
  ["172.32.0.1", "public"],
  ["100.63.255.255", "public"],
  ["100.128.0.0", "public"],
  ["198.17.255.255", "public"],
  ["223.255.255.255", "public"],
  ["10.0.0.0", "private"],
  ["10.255.255.255", "private"],
  ["172.16.0.1", "private"],
  ["172.31.255.255", "private"],
  ["192.168.1.1", "private"],
  ["100.64.0.1", "private"],
  ["100.127.255.255", "private"],
  ["169.254.1.1", "private"],
  ["127.0.0.1", "local"],
  ["127.255.255.255", "local"],
  ["0.0.0.0", "local"],
  ["0.0.0.1", "reserved"],
  ["0.255.255.255", "reserved"],
  ["169.254.169.254", "reserved"],
  ["169.254.170.2", "reserved"],
  ["100.100.100.200", "reserved"],
  ["168.63.129.16", "reserved"],
  ["192.0.0.1", "reserved"],
  ["192.0.2.1", "reserved"],
  ["198.51.100.1", "reserved"],
  ["203.0.113.1", "reserved"],
  ["192.88.99.1", "reserved"],
  ["198.18.0.1", "reserved"],
  ["198.19.255.255", "reserved"],
  ["224.0.0.1", "reserved"],
  ["239.255.255.255", "reserved"],
  ["240.0.0.1", "reserved"],
  ["255.255.255.255", "reserved"],
  ["2606:4700:4700::1111", "public"],
  ["2a00::1", "public"],
  ["::1", "local"],
  ["::", "local"],
  ["fc00::1", "private"],
  ["fd12:3456:789a::1", "private"],
  ["fe80::1", "private"],
  ["febf::1", "private"],
  ["fec0::1", "private"],
  ["fd00:ec2::254", "reserved"],
  ["ff02::1", "reserved"],
  ["100::1", "reserved"],
  ["2001::1", "reserved"],
  ["2001:0:7f00:1::", "reserved"],
  ["2001:db8::1", "reserved"],
  ["3fff::1", "reserved"],
  ["5f00::1", "reserved"],
  ["4000::1", "reserved"],
  ["64:ff9b:1::7f00:1", "reserved"],
  ["::ffff:127.0.0.1", "local"],
  ["::ffff:7f00:1", "local"],
  ["::ffff:10.0.0.1", "private"],
  ["::ffff:8.8.8.8", "public"],
  ["::ffff:169.254.169.254", "reserved"],
  ["::127.0.0.1", "local"],
  ["::a00:1", "private"],
  ["::8.8.8.8", "public"],
  ["::ffff:0:127.0.0.1", "local"],
  ["64:ff9b::127.0.0.1", "local"],
  ["64:ff9b::a9fe:a9fe", "reserved"],
  ["64:ff9b::8.8.8.8", "public"],
  ["2002:7f00:1::", "local"],
  ["2002:a00:1::1", "private"],
  ["2002:a9fe:a9fe::", "reserved"],
  ["2002:808:808::1", "public"],
];

test("every address falls in the class that its registry gives it", () => {
  for (const [text, kind] of classes) {
    const address = parseIp(text);
    assert.ok(address !== null, text);
    assert.equal(classOf(address), kind, text);
  }
});

test("a word of the config permits exactly its classes", () => {
  const words = {
    public: ["public"],
    private: ["private", "local"],
    local: ["local"],
    network: ["public", "private"],
  } as const;
  for (const [word, expected] of Object.entries(words)) {
    const allowing = new AddressPolicy([word], []);
    const denying = new AddressPolicy(["public", "private"], [word]);
    for (const [text, kind] of classes) {
      const covered = (expected as readonly string[]).includes(kind);
      assert.equal(allowing.permits(text), covered, `allow ${word}: ${text}`);
      assert.equal(denying.permits(text), !covered && kind !== "reserved", `deny ${word}: ${text}`);
    }
  }
});

test("only plain spellings of an address are read as one", () => {
  const refused = [
    ...["", "1", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "2130706433", "127.0.0.01", "127.0.0.256"],
    ...[
      "127.0.0.1.",
      ".127.0.0.1",
      "127..0.1",
      "127.0.0.1.1",
      " 127.0.0.1",
      "127.0.0.1 ",
      "127.0.0.-1",
      "１27.0.0.1",
    ],
    ...[
      ":",
      ":::",
      "1::2::3",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "12345::",
      "g::",
      "::1%lo",
      "fe80::1%eth0",
    ],
    ...[
      "[::1]",
      "::127.1",
      "::1.2.3.4:5",
      "1.2.3.4::",
      ":1::",
      "1::2:",
      "1:2:3:4:5:6:7::8",
      "::ffff:0177.0.0.1",
    ],
  ];
  for (const text of refused) {
    assert.equal(parseIp(text), null, text);
    assert.equal(
      new AddressPolicy(["public", "private", "0.0.0.0/0", "::/0"], []).permits(text),
      false,
      text,
    );
  }
});

test("texts are read as addresses just when Node.js connects to them without a look-up", () => {
  const alphabet = "0127fF:.%x";
  let seed = 42;
  const next = (bound: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % bound;
  };
  let read = 0;
  for (let round = 0; round < 200_000; round++) {
    let text = next(3) === 0 ? "::" : "";
    for (let left = 1 + next(12); left > 0; left--) text += alphabet[next(alphabet.length)];
    if (text.includes("%")) continue;
    assert.equal(parseIp(text) !== null, isIP(text) !== 0, text);
    if (parseIp(text) !== null) read++;
  }
  assert.ok(read > 100, `${read} addresses among the texts`);
});

test("deny wins over allow however narrow the rules are", () => {
  const policy = new AddressPolicy(["public", "10.1.2.3"], ["10.0.0.0/8", "1.1.1.0/24"]);
  assert.equal(policy.permits("10.1.2.3"), false);
  assert.equal(policy.permits("1.1.1.1"), false);
  assert.equal(policy.permits("1.1.2.1"), true);
});

test("a rule against an IPv4 range holds for every IPv6 form of its addresses", () => {
  const policy = new AddressPolicy(["public"], ["8.8.8.0/24"]);
  const forms = [
    "8.8.8.8",
    "::ffff:8.8.8.8",
    "::8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
    "::ffff:0:8.8.8.8",
  ];
  for (const text of forms) assert.equal(policy.permits(text), false, text);
  assert.equal(policy.permits("64:ff9b::8.8.9.8"), true);
  assert.equal(new AddressPolicy(["public"], ["64:ff9b::/96"]).permits("64:ff9b::8.8.9.8"), false);
});

test("an allowed range adds to the words, and never opens a translated way to the machine itself", () => {
  const policy = new AddressPolicy(["public", "10.1.0.0/16", "64:ff9b::/96", "fd00::/8"], []);
  assert.equal(policy.permits("10.1.255.1"), true);
  assert.equal(policy.permits("10.2.0.1"), false);
  assert.equal(policy.permits("64:ff9b::10.1.0.1"), true);
  assert.equal(policy.permits("64:ff9b::127.0.0.1"), false);
  assert.equal(policy.permits("fd00::1"), true);
  assert.equal(policy.permits("fd00:ec2::254"), false);
});

test("a reserved address is reached only by a rule that names it", () => {
  const wide = new AddressPolicy(["0.0.0.0/0", "::/0"], []);
  assert.equal(wide.permits("127.0.0.1"), true);
  assert.equal(wide.permits("224.0.0.1"), false);
  assert.equal(wide.permits("169.254.169.254"), false);
  assert.equal(wide.permits("ff02::1"), false);
  assert.equal(wide.permits("5f00::1"), false);
  assert.equal(new AddressPolicy(["169.254.0.0/16"], []).permits("169.254.169.254"), false);
  assert.equal(new AddressPolicy(["169.254.169.254/32"], []).permits("169.254.169.254"), true);
  assert.equal(new AddressPolicy(["203.0.113.0/24"], []).permits("203.0.113.7"), true);
  assert.equal(new AddressPolicy(["::/0"], []).permits("1.1.1.1"), false);
});

test("unix sockets are permitted by their own words only", () => {
  const policy = new AddressPolicy(["public", "private", "unix"], []);
  assert.equal(policy.permitsUnix(false), true);
  assert.equal(policy.permitsUnix(true), false);
  assert.equal(new AddressPolicy(["unix", "unix-abstract"], ["unix"]).permitsUnix(false), false);
  assert.equal(new AddressPolicy(["unix", "unix-abstract"], ["unix"]).permitsUnix(true), true);
});

test("a range that is none is refused with its text", () => {
  for (const text of [
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/",
    "10.0.0.0/08",
    "10/8",
    "internet",
    "10.0.0.0/-1",
    "",
  ]) {
    assert.throws(() => parseRule(text), {
      message: new RegExp(`^cannot read address rule ${JSON.stringify(text)}: `),
    });
  }
  assert.equal(parseRange("10.1.2.3/8").length, 104);
});
