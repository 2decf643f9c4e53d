export {
  constants,
  fs,
  fsPromises,
  module,
  nodeConsole,
  os,
  perfHooks,
  punycode,
  tty,
} from "../node/system.ts";
