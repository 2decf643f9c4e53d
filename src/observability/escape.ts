/**
 * Everything that could forge a log line or drive a terminal: C0 and C1 controls, DEL, line and paragraph separators,
 * and the marks that turn the direction of writing.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is its purpose
const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same set, for a test without state
const unsafeOnce = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/** The text with every unsafe character as `\uXXXX`, which JSON reads back as the same text. */
export function escapeControls(text: string): string {
  return unsafeOnce.test(text) ? text.replace(unsafe, escapeOne) : text;
}

function escapeOne(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
