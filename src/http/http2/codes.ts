/** Error codes of RST_STREAM and GOAWAY (RFC 9113 §7). */
export const NO_ERROR = 0;
export const PROTOCOL_ERROR = 1;
export const INTERNAL_ERROR = 2;
export const REFUSED_STREAM = 7;
export const CANCEL = 8;
export const CONNECT_ERROR = 10;
export const ENHANCE_YOUR_CALM = 11;

/** The connection preface up to the point where it differs from every HTTP/1.1 request (RFC 9113 §3.4). */
export const prefaceLine = "PRI * HTTP/2.0";
