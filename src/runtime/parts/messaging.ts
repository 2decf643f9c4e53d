import { isMessagePort, MessageChannel, MessagePort, PortMove } from "../messaging/message-port.ts";
import { refuseToClone } from "../web/structured-clone.ts";
import { provideTransfer } from "../web/transfer.ts";

export { ReadableMove, TransformMove, WritableMove } from "../messaging/stream-transfer.ts";
export { MessageChannel, MessagePort };

refuseToClone("MessagePort", isMessagePort);
provideTransfer(isMessagePort, (port) => new PortMove(port));
