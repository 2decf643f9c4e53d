let lastMs = 0;
let lastText = "";

/** The time of day in RFC 3339, in UTC with milliseconds; formatted once a millisecond. */
export function timestamp(): string {
  const now = Date.now();
  if (now !== lastMs) {
    lastMs = now;
    lastText = new Date(now).toISOString();
  }
  return lastText;
}
