import { nodeError } from "./errors.ts";

// RFC 3492 §5.
const base = 36;
const least = 1;
const most = 26;
const skew = 38;
const damp = 700;
const firstBias = 72;
const firstCode = 128;

function adapt(delta: number, count: number, first: boolean): number {
  let rest = first ? Math.floor(delta / damp) : delta >> 1;
  rest += Math.floor(rest / count);
  let steps = 0;
  for (; rest > ((base - least) * most) >> 1; steps += base) rest = Math.floor(rest / (base - least));
  return Math.floor(steps + ((base - least + 1) * rest) / (rest + skew));
}

function threshold(step: number, bias: number): number {
  return step <= bias ? least : step >= bias + most ? most : step - bias;
}

function overflow(): never {
  throw nodeError(RangeError, "ERR_OUT_OF_RANGE", "Overflow: input needs wider integers to process");
}

function decode(text: string): string {
  const output: number[] = [];
  const dash = Math.max(text.lastIndexOf("-"), 0);
  for (let i = 0; i < dash; i++) {
    if (text.charCodeAt(i) >= 0x80) throw new RangeError("Illegal input >= 0x80 (not a basic code point)");
    output.push(text.charCodeAt(i));
  }
  let [code, at, bias] = [firstCode, 0, firstBias];
  for (let i = dash > 0 ? dash + 1 : 0; i < text.length; ) {
    const before = at;
    for (let weight = 1, step = base; ; step += base) {
      if (i >= text.length) throw new RangeError("Invalid input");
      const letter = text.charCodeAt(i++);
      const digit =
        letter >= 48 && letter <= 57
          ? letter - 22
          : /[a-z]/i.test(String.fromCharCode(letter))
            ? (letter | 32) - 97
            : base;
      if (digit >= base) throw new RangeError("Invalid input");
      at += digit * weight;
      if (at > 0x7fffffff) overflow();
      const limit = threshold(step, bias);
      if (digit < limit) break;
      weight *= base - limit;
    }
    const count = output.length + 1;
    bias = adapt(at - before, count, before === 0);
    code += Math.floor(at / count);
    at %= count;
    output.splice(at++, 0, code);
  }
  return String.fromCodePoint(...output);
}

function encode(text: string): string {
  const input = ucs2.decode(text);
  let output = input
    .filter((code) => code < 0x80)
    .map((code) => String.fromCharCode(code))
    .join("");
  const basic = output.length;
  let handled = basic;
  if (basic > 0) output += "-";
  let [code, delta, bias] = [firstCode, 0, firstBias];
  while (handled < input.length) {
    const next = Math.min(...input.filter((one) => one >= code));
    delta += (next - code) * (handled + 1);
    if (delta > 0x7fffffff) overflow();
    code = next;
    for (const one of input) {
      if (one < code) delta++;
      if (one !== code) continue;
      let rest = delta;
      for (let step = base; ; step += base) {
        const limit = threshold(step, bias);
        if (rest < limit) break;
        output += digit(limit + ((rest - limit) % (base - limit)));
        rest = Math.floor((rest - limit) / (base - limit));
      }
      output += digit(rest);
      bias = adapt(delta, handled + 1, handled === basic);
      delta = 0;
      handled++;
    }
    delta++;
    code++;
  }
  return output;
}

function digit(value: number): string {
  return String.fromCharCode(value < 26 ? value + 97 : value + 22);
}

function labels(domain: string, change: (label: string) => string): string {
  const at = domain.lastIndexOf("@") + 1;
  const changed = domain
    .slice(at)
    .replace(/[\u3002\uff0e\uff61]/g, ".")
    .split(".")
    .map(change);
  return domain.slice(0, at) + changed.join(".");
}

const ucs2 = {
  decode: (text: string): number[] => {
    const codes: number[] = [];
    for (let i = 0; i < text.length; i++) {
      const code = text.codePointAt(i) as number;
      codes.push(code);
      if (code > 0xffff) i++;
    }
    return codes;
  },
  encode: (codes: number[]): string => String.fromCodePoint(...codes),
};

/** node:punycode. */
export const punycode = {
  version: "2.3.1",
  decode,
  encode,
  toASCII: (domain: string): string =>
    labels(domain, (label) => (/[^\0-\x7F]/.test(label) ? `xn--${encode(label)}` : label)),
  toUnicode: (domain: string): string =>
    labels(domain, (label) => (label.startsWith("xn--") ? decode(label.slice(4).toLowerCase()) : label)),
  ucs2,
};
