/** What a Worker's compatibility date and flags decide about its WebSockets. */
export const webSocketDefaults: {
  /** `binaryType` of a new WebSocket is "blob" (`websocket_standard_binary_type`). */
  blob: boolean;
  /** A close frame of the other side is answered before the event (`web_socket_auto_reply_to_close`). */
  autoReply: boolean;
} = { blob: true, autoReply: true };
