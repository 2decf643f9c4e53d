const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Reads one of HTTP's three forms of a date (RFC 9110 §5.6.7) as whole seconds since 1970; null for another text. */
export function parseHttpDate(text: string): number | null {
  const parts = text.split(" ").filter((part) => part !== "");
  // Sun, 06 Nov 1994 08:49:37 GMT
  if (parts.length === 6 && parts[5] === "GMT") return toSeconds(parts[3], parts[2], parts[1], parts[4]);
  // Sun Nov  6 08:49:37 1994
  if (parts.length === 5) return toSeconds(parts[4], parts[1], parts[2], parts[3]);
  // Sunday, 06-Nov-94 08:49:37 GMT
  if (parts.length !== 4 || parts[3] !== "GMT") return null;
  const [day, month, short] = (parts[1] ?? "").split("-");
  const twoDigits = readNumber(short, 2);
  if (twoDigits === -1) return null;
  // More than fifty years ahead means the last century.
  const latest = new Date().getUTCFullYear() + 50;
  let year = Math.floor(latest / 100) * 100 + twoDigits;
  if (year > latest) year -= 100;
  return toSeconds(String(year), month, day, parts[2]);
}

/** The form that is sent (RFC 9110 §5.6.7, IMF-fixdate). */
export function formatHttpDate(seconds: number): string {
  return new Date(seconds * 1000).toUTCString();
}

function toSeconds(
  yearText: string | undefined,
  monthText: string | undefined,
  dayText: string | undefined,
  timeText: string | undefined,
): number | null {
  const year = readNumber(yearText, 4);
  const month = months.indexOf(monthText ?? "");
  const day = readNumber(dayText, 2);
  const clock = (timeText ?? "").split(":");
  const [hour, minute, second] = [readNumber(clock[0], 2), readNumber(clock[1], 2), readNumber(clock[2], 2)];
  if (year === -1 || month === -1 || day < 1 || day > 31 || clock.length !== 3) return null;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return null;
  return Date.UTC(year, month, day, hour, minute, second) / 1000;
}

function readNumber(text: string | undefined, digits: number): number {
  if (text === undefined || text.length === 0 || text.length > digits) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
