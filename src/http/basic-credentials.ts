/**
 * The user name and password of an Authorization or Proxy-Authorization field (RFC 7617 §2): a name without a colon, a
 * colon, and the password, in UTF-8 and base64. Null for anything else, control characters included.
 */
export function readBasicCredentials(field: string | null): { user: string; password: string } | null {
  const match = field === null ? null : /^basic +([A-Za-z0-9+/]{1,2048}={0,2})$/i.exec(field);
  if (match === null) return null;
  const text = Buffer.from(match[1] ?? "", "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon === -1) return null;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code === 127) return null;
  }
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
