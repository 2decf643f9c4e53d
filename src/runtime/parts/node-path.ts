export { posix, win32 } from "../node/path.ts";
