import { malformed, Violation } from "./violation.ts";

const H = 0x48;
const T = 0x54;
const P = 0x50;
const SLASH = 0x2f;
const DOT = 0x2e;
const ZERO = 0x30;

/**
 * Reads `HTTP/1.x` (RFC 9112 §2.3), which must fill the octets from `from` to `to`. A later minor version is read as
 * 1.1, the highest that we know (RFC 9110 §2.5); another major version is another protocol.
 */
export function readMinorVersion(bytes: Uint8Array, from: number, to: number): 0 | 1 {
  const major = (bytes[from + 5] as number) - ZERO;
  const minor = (bytes[from + 7] as number) - ZERO;
  if (
    to - from !== 8 ||
    bytes[from] !== H ||
    bytes[from + 1] !== T ||
    bytes[from + 2] !== T ||
    bytes[from + 3] !== P ||
    bytes[from + 4] !== SLASH ||
    bytes[from + 6] !== DOT ||
    !isDigit(major) ||
    !isDigit(minor)
  ) {
    throw malformed("the first line has no valid version");
  }
  if (major !== 1) throw new Violation("versionUnsupported", `HTTP/${major}.${minor} is not HTTP/1`);
  return minor === 0 ? 0 : 1;
}

function isDigit(value: number): boolean {
  return value >= 0 && value <= 9;
}
