import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Guest, same } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

test("Blob and File hold, slice and yield their parts as in Node", () =>
  same(guest, async (t) => {
    const blob = new Blob(
      [
        "aä",
        new Uint8Array([1, 2]),
        new Uint16Array([3]).buffer,
        new DataView(new ArrayBuffer(1)),
        new Blob(["z"]),
      ],
      { type: "Text/PLAIN" },
    );
    const out: unknown[] = [
      blob.size,
      blob.type,
      t.bytes(await blob.arrayBuffer()),
      await new Blob(["\ufeffx"]).text(),
    ];
    for (const [start, end] of [[0, 2], [-3], [2, -1], [5, 2], [100], [undefined, 3], [1.7, 2.2]] as [
      number,
      number,
    ][]) {
      const slice = blob.slice(start, end, "a/B");
      out.push([slice.size, slice.type, t.bytes(await slice.arrayBuffer())]);
    }
    out.push(
      new Blob([], { type: "ä" }).type,
      new Blob([1, null] as never).size,
      new Blob(["a\r\nb\rc\n"], { endings: "native" }).size,
    );
    out.push((await t.chunks(blob.stream() as never)).flat(), t.bytes(await blob.bytes()));
    out.push(
      t.error(() => new Blob("x" as never)),
      t.error(() => new Blob(5 as never)),
    );
    const file = new File(["abc"], "näme.txt", { type: "text/plain", lastModified: 5 });
    out.push(file.name, file.lastModified, file.size, file.type, file instanceof Blob, `${file}`, `${blob}`);
    out.push(
      t.error(() => new (File as unknown as new (parts: string[]) => File)(["x"])),
      file.slice(0, 1) instanceof File,
    );
    out.push(typeof new File([], "x").lastModified, await new Response(file.stream()).text());
    return out;
  }));

test("FormData's methods are as in Node", () =>
  same(guest, async (t) => {
    const form = new FormData();
    form.append("a", "1");
    form.append("b", "2");
    form.append("a", "3");
    const out: unknown[] = [form.get("a"), form.getAll("a"), form.get("x"), form.has("b"), [...form]];
    form.set("a", "4");
    form.delete("b");
    out.push([...form.entries()]);
    form.append("file", new Blob(["x"], { type: "t/t" }));
    form.append("named", new Blob(["y"]), "own.txt");
    form.append("kept", new File(["z"], "kept.txt"));
    form.append("renamed", new File(["z"], "kept.txt"), "other.txt");
    for (const [name, value] of form) {
      if (typeof value !== "string")
        out.push([name, value.name, value.type, await value.text(), value instanceof File]);
    }
    out.push(
      [...form.keys()],
      t.error(() => form.append("x", "y", "z" as never)),
      t.error(() => new (FormData as unknown as new (form: object) => FormData)({})),
    );
    out.push(
      t.error(() => (form.append as unknown as (a: string) => void)("x")),
      `${form}`,
    );
    return out;
  }));

test("a form survives the way through a multipart body", () =>
  same(guest, async (t) => {
    const form = new FormData();
    form.append("plain", "value");
    form.append("näme", "wärt €");
    form.append('quo"te\r\n', "line\nbreak\r\n.");
    form.append("empty", "");
    form.append(
      "file",
      new File([new Uint8Array([0, 13, 10, 45, 45, 255])], 'fi"le.bin', { type: "application/x-thing" }),
    );
    form.append("untyped", new Blob(["x"]));
    const response = new Response(form);
    const type = response.headers.get("content-type") ?? "";
    const back = await response.formData();
    const out: unknown[] = [type.startsWith("multipart/form-data; boundary=")];
    for (const [name, value] of back) {
      out.push(
        typeof value === "string"
          ? [name, value]
          : [name, value.name, value.type, t.bytes(await value.arrayBuffer())],
      );
    }
    return out;
  }));

test("multipart bodies of others are read, and malformed ones refused, as in Node", () =>
  same(guest, async () => {
    const read = async (body: string, type = "multipart/form-data; boundary=B"): Promise<unknown> => {
      try {
        const form = await new Response(body, { headers: { "content-type": type } }).formData();
        const out: unknown[] = [];
        for (const [name, value] of form) {
          out.push(
            typeof value === "string" ? [name, value] : [name, value.name, value.type, await value.text()],
          );
        }
        return out;
      } catch (error) {
        return (error as Error).name;
      }
    };
    const part = (head: string, body: string): string => `--B\r\n${head}\r\n\r\n${body}\r\n`;
    return [
      await read(
        `${part('Content-Disposition: form-data; name="a"', "1")}${part('content-disposition: form-data; name="b"', "2\r\n3")}--B--\r\n`,
      ),
      await read(`${part('Content-Disposition: form-data; name="f"; filename="x.txt"', "data")}--B--`),
      await read(
        `${part('Content-Disposition: form-data; name="f"; filename="x.txt"\r\nContent-Type: text/css', "data")}--B--\r\n`,
      ),
      await read(part('Content-Disposition: form-data; name="a"', "1")),
      await read(`--B\r\nno colon\r\n\r\n1\r\n--B--\r\n`),
      await read(`--B\r\nContent-Type: a/b\r\n\r\n1\r\n--B--\r\n`),
      await read(`--other--`),
      await read(``),
      await read("a=1", "multipart/form-data"),
      await read("a=1&b=%20+&c", "application/x-www-form-urlencoded"),
      await read("a=1", "application/x-www-form-urlencoded; charset=utf-8"),
      await read("a=1", "text/plain"),
      await read(
        `${part('Content-Disposition: form-data; name="a"', "1")}--B--\r\n`,
        'Multipart/Form-Data; boundary="B"',
      ),
    ];
  }));

test("boundaries differ from body to body", async () => {
  const types = (await guest.run(() =>
    [1, 2].map(() => new Response(new FormData()).headers.get("content-type")),
  )) as string[];
  assert.notEqual(types[0], types[1]);
});

test("urlencoded bodies are decoded as bytes, and keep a byte order mark", () =>
  same(guest, async () => {
    const read = async (body: string | number[]): Promise<unknown> => {
      const bytes = typeof body === "string" ? body : new Uint8Array(body);
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      return [...(await new Response(bytes, { headers }).formData())];
    };
    return [
      await read("a=%C3%A4&b=\u00e4&=c&&d==e&%zz=%"),
      await read([0x61, 0x3d, 0xff, 0x26, 0x62, 0x3d, 0xe4]),
    ];
  }));

test("a UTF-8 character may be half raw and half escaped in an urlencoded body", async () => {
  const result = await guest.run(async () => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const bytes = new Uint8Array([0x61, 0x3d, 0xc3, 0x25, 0x41, 0x34]);
    const marked = "\ufefftest=\ufeff";
    return [
      [...(await new Response(bytes, { headers }).formData())],
      [...(await new Response(marked, { headers }).formData())],
    ];
  });
  assert.deepEqual(result, [[["a", "\u00e4"]], [["\ufefftest", "\ufeff"]]]);
});

test("a multipart value keeps its byte order mark", async () => {
  const body = '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n\ufeffx\r\n--B--\r\n';
  const result = await guest.run(`async () => {
    const headers = { "content-type": "multipart/form-data; boundary=B" };
    return (await new Response(${JSON.stringify(body)}, { headers }).formData()).get("a");
  }`);
  assert.equal(result, "\ufeffx");
});

test("content types are parsed as MIME Sniffing says", async () => {
  const cases: [string, string][] = [
    ["text/html;charset=gbk", "text/html;charset=gbk"],
    [" TEXT/HTML ; Charset=GBK ", "text/html;charset=gbk"],
    ['text/html;charset= "gbk"', 'text/html;charset=" \\"gbk\\""'],
    ['text/html;charset="g;bk\\""x;a=b', 'text/html;charset="g;bk\\"";a=b'],
    ["text/html;;;a=b;a=c;=d;e;f=", "text/html;a=b"],
    ["text/html;a=b c", 'text/html;a="b c"'],
    ["te xt/html", ""],
    ["text/", ""],
    ["text", ""],
    ["text/html(;a=b", ""],
    ["text/html;a b=c;d=e", "text/html;d=e"],
  ];
  const types = await guest.run(
    `() => Promise.all(${JSON.stringify(cases.map(([type]) => type))}.map(async (type) =>
      (await new Response("x", { headers: { "content-type": type } }).blob()).type))`,
  );
  assert.deepEqual(
    types,
    cases.map(([, type]) => type),
  );
});
