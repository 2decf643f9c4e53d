export { EventEmitter } from "../node/events.ts";
