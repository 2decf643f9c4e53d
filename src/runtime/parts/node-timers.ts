export { clearImmediate, promises, setImmediate, setInterval, setTimeout, timers } from "../node/timers.ts";
