import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Guest } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

test("a FileReader reads a Blob as text, bytes, a binary string and a data: URL, with its events in order", async () => {
  const found = await guest.run(`async () => {
    const out = [];
    const read = (method, blob, ...rest) => new Promise((resolve) => {
      const reader = new FileReader();
      const events = [];
      for (const type of ["loadstart", "progress", "load", "error", "abort"]) {
        reader.addEventListener(type, (event) => events.push(type + event.loaded));
      }
      reader.onloadend = () => resolve([reader.result, events.join(" "), reader.readyState]);
      reader[method](blob, ...rest);
    });
    out.push(await read("readAsText", new Blob(["h\\u00e9"])));
    out.push(await read("readAsText", new Blob([new Uint8Array([0xe9])]), "latin1"));
    out.push(await read("readAsText", new Blob([new Uint8Array([0xe9])], { type: "text/plain;charset=latin1" })));
    out.push(await read("readAsBinaryString", new Blob([new Uint8Array([0, 255])])));
    out.push(await read("readAsDataURL", new Blob(["a"], { type: "text/plain" })));
    out.push(await read("readAsDataURL", new Blob([])));
    const [buffer] = await read("readAsArrayBuffer", new Blob(["ab"]));
    out.push(buffer instanceof ArrayBuffer, buffer.byteLength);
    const reader = new FileReader();
    reader.readAsText(new Blob(["x"]));
    out.push(helper.error(() => reader.readAsText(new Blob(["y"]))), helper.error(() => reader.readAsText("z")));
    reader.abort();
    out.push(reader.error.name, reader.result, reader.readyState);
    return out;
  }`);
  assert.deepEqual(found, [
    ["hé", "loadstart0 progress3 load3", 2],
    ["é", "loadstart0 progress1 load1", 2],
    ["é", "loadstart0 progress1 load1", 2],
    ["\u0000ÿ", "loadstart0 progress2 load2", 2],
    ["data:text/plain;base64,YQ==", "loadstart0 progress1 load1", 2],
    ["data:application/octet-stream;base64,", "loadstart0 load0", 2],
    true,
    2,
    "InvalidStateError",
    "TypeError",
    "AbortError",
    null,
    2,
  ]);
});
