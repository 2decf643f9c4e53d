/** The octets that mean something to the grammar of HTTP/1.1. */
export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;

/** 1 for each octet of a field value or reason phrase: HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5). */
export const textTable = table((octet) => octet === TAB || (octet >= 0x20 && octet !== 0x7f));

/**
 * 1 for each octet of a request target: visible ASCII but `#`. A fragment never goes over the wire (RFC 9112 §3.2), and
 * octets past 0x7e would be read as one text by us and as another by whoever decodes them otherwise.
 */
export const targetTable = table((octet) => octet > 0x20 && octet < 0x7f && octet !== 0x23);

/** The value of each hexadecimal digit, and -1 for every other octet. */
export const hexTable: Int8Array = new Int8Array(256).map((_, octet) => {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
});

function table(member: (octet: number) => boolean): Uint8Array {
  return new Uint8Array(256).map((_, octet) => (member(octet) ? 1 : 0));
}
